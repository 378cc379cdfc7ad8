"""Answers that only a model could compare: a box that holds "five" is right where the judge says that it is the known 5.

The order is OpenMathReasoning's (judge_answers): no answer is no, integers are compared as integers, and only what is left was put to
a model, once. A reply without a verdict leaves the attempt without an answer, as does a missing one: it counted as right there.

An answer for a problem that has none: what most of its attempts say, kept together with the votes.

NeMo-Skills' fill_majority_answer counts exact strings, so that 1/2 and 0.5 are two candidates; here an attempt's answer is an integer
already (016 is 16). An answer that someone wrote down is never overwritten, and two answers with equally many votes fill nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from components.core.params import Settings
from components.core.types import Annotation, Candidate, Problem, PseudoLabel
from components.lib import yes_no


def apply_judgements(candidate: Candidate, problem: Problem, annotations: Iterable[Annotation]) -> Candidate:
    """The attempt, with the known answer for its own where a judge calls the two the same."""
    said = [one.text for one in annotations if one.shown == (candidate.index,) and one.kind == "judgement"]
    if candidate.answer is None and said and yes_no.parse(said[0]):
        return candidate.model_copy(update={"answer": problem.answer, "abstained": None})
    return candidate


class FillMajorityAnswer(Settings):
    """When a majority counts."""

    min_votes: int
    min_share: float
    """Of the attempts that gave an answer."""


def majority_answer(problem: Problem, candidates: Sequence[Candidate], rule: FillMajorityAnswer) -> PseudoLabel | None:
    """The majority's answer, where the problem has none and the majority is one."""
    votes = Counter(candidate.answer for candidate in candidates if candidate.answer is not None)
    if problem.answer is not None or not votes:
        return None
    (answer, most), *others = votes.most_common(2)
    assert answer is not None
    if (others and others[0][1] == most) or most < rule.min_votes or most < rule.min_share * votes.total():
        return None
    return PseudoLabel(problem=problem.id, answer=answer, votes=most, total=votes.total())
