"""Checks of one candidate: its last code block run again, and what a model says of its solution.

A rerun has a session of its own with another seed: does the program print the attempt's answer again? Cells share variables, so the ones
before it run first. A program that draws at random may print something else, which is what the other seed is for. A program that fails, or
prints no integer, says nothing. A model's check is the share of "yes" among several replies, as far as they can be read.
"""

from collections.abc import Sequence

from components.core.types import Candidate, Check, CodeRun
from components.lib import answers, yes_no
from components.lib.sandbox.protocol import Sandbox


async def rerun(candidate: Candidate, box: Sandbox, contest: answers.Contest, seed: int) -> Check:
    """Runs the candidate's cells, which must be at least one, in order."""
    again: Sequence[CodeRun] = ()
    session = await box.session(seed)
    try:
        for run in candidate.runs:
            again = (await session.run(run.code),)
    finally:
        await session.close()
    reading = answers.printed(again, contest)
    return Check(
        problem=candidate.problem,
        candidate=candidate.index,
        kind="rerun",
        score=None if reading.answer is None else float(reading.answer == candidate.answer),
        detail=reading.reason or f"printed {reading.answer}",
    )


def model_check(candidate: Candidate, replies: Sequence[str]) -> Check:
    """One check of all replies on a candidate."""
    said = [yes_no.parse(reply) for reply in replies]
    yes, no = said.count(True), said.count(False)
    return Check(
        problem=candidate.problem,
        candidate=candidate.index,
        kind="model",
        score=yes / (yes + no) if yes + no else None,
        detail=f"{yes} yes, {no} no, {said.count(None)} unreadable",
    )
