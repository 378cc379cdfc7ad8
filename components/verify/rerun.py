"""The attempt's last code block run again, in a session of its own with another seed: does it print the attempt's answer?

Cells share variables, so the ones before it run first. A program that draws at random may print something else, which is what the other
seed is for. A program that fails, or prints no integer, says nothing.
"""

from collections.abc import Sequence

from components.core.types import Candidate, Check, CodeRun
from components.lib import answers
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
