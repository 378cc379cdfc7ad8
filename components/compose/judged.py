"""Answers that only a model could compare: a box that holds "five" is right where the judge says that it is the known 5.

The order is OpenMathReasoning's (judge_answers): no answer is no, integers are compared as integers, and only what is left was put to
a model, once. A reply without a verdict leaves the attempt without an answer, as does a missing one: it counted as right there.
"""

from collections.abc import Iterable

from components.core.types import Candidate, Problem, Remark
from components.lib import verdict


def answered(candidate: Candidate, problem: Problem, remarks: Iterable[Remark]) -> Candidate:
    """The attempt, with the known answer for its own where a judge calls the two the same."""
    said = [one.text for one in remarks if one.shown == (candidate.index,) and one.about == "judgement"]
    if candidate.answer is None and said and verdict.parse(said[0]):
        return candidate.model_copy(update={"answer": problem.answer, "abstained": None})
    return candidate
