"""Right solutions as training rows: the CoT and the TIR set.

The TIR rules follow NeMo-Skills' postprocess_tir_generations.py (systems: code before any answer), with its substring test replaced by
one at number boundaries: as a substring, the answer 2 stands in nearly every text.
"""

import re
from collections.abc import Iterator

from components.core.types import Candidate, Example, Message, Problem
from components.lib import prompts, tool_syntax


def example(kind: str, problem: Problem, candidate: Candidate) -> Example:
    """One attempt as chat messages; tool output carries no loss."""
    asked = Message(role="user", content=prompts.render(candidate.mode, statement=problem.statement), loss=False)
    return Example.model_validate(
        {
            "id": f"{kind}/{candidate.problem}/{candidate.index}",
            "problem": candidate.problem,
            "candidate": candidate.index,
            "kind": kind,
            "messages": (asked, *_turn(candidate)),
        }
    )


def _turn(candidate: Candidate) -> Iterator[Message]:
    for piece in tool_syntax.pieces(candidate.text, candidate.runs):
        yield Message(role="tool" if piece.output else "assistant", content=piece.text, loss=not piece.output)


def refuse_cot(problem: Problem, candidate: Candidate) -> str | None:
    """Why a CoT attempt is not trained on, or None."""
    if candidate.answer is None:
        return f"no answer: {candidate.abstained}"
    if candidate.answer != problem.answer:
        return "wrong answer"
    return None if candidate.ended == "stop" else f"ended by {candidate.ended}"


def refuse_tir(problem: Problem, candidate: Candidate, max_runs: int) -> str | None:
    """Why a TIR attempt is not trained on, or None."""
    reason = refuse_cot(problem, candidate)
    if reason:
        return reason
    if not candidate.runs:
        return "no code"
    if len(candidate.runs) > max_runs:
        return f"more than {max_runs} code blocks"
    if candidate.runs[-1].status != "ok":
        return "last code failed"
    before = candidate.text.split(tool_syntax.OPENMATH.begin, 1)[0]
    if "\\boxed" in before or re.search(rf"(?<![\d.]){candidate.answer}(?![\d.])", before):
        return "answer before code"
    return None
