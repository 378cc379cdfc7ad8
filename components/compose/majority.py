"""An answer for a problem that has none: what most of its attempts say, kept together with the votes.

NeMo-Skills' fill_majority_answer counts exact strings, so that 1/2 and 0.5 are two candidates; here an attempt's answer is an integer
already (016 is 16). An answer that someone wrote down is never overwritten, and two answers with equally many votes fill nothing.
"""

from collections import Counter
from collections.abc import Sequence

from components.core.params import Settings
from components.core.types import Candidate, Filled, Problem


class Majority(Settings):
    """When a majority counts."""

    min_votes: int
    min_share: float
    """Of the attempts that gave an answer."""


def fill(problem: Problem, candidates: Sequence[Candidate], rule: Majority) -> Filled | None:
    """The majority's answer, where the problem has none and the majority is one."""
    votes = Counter(candidate.answer for candidate in candidates if candidate.answer is not None)
    if problem.answer is not None or not votes:
        return None
    (answer, most), *others = votes.most_common(2)
    assert answer is not None
    if (others and others[0][1] == most) or most < rule.min_votes or most < rule.min_share * votes.total():
        return None
    return Filled(problem=problem.id, answer=answer, votes=most, total=votes.total())
