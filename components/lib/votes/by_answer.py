"""Strategies that look at nothing but answers, and two that choose one candidate: by lot, and by how sure its words sound."""

import random
import re
from collections.abc import Iterable

from components.core.types import Candidate
from components.lib.votes.ballot import Ballot, WeightedVote, each, strategy


@strategy(per_candidate=True)
def majority(ballot: Ballot) -> Iterable[WeightedVote]:
    """Each candidate one vote."""
    return each(ballot, lambda candidate: 1.0)


@strategy(larger_wins=True, per_candidate=True)
def larger(ballot: Ballot) -> Iterable[WeightedVote]:
    """The majority, but the larger answer wins a tie: a wrong answer is more often a small one."""
    return majority(ballot)


@strategy(larger_wins=True, per_candidate=True)
def weighted(ballot: Ballot) -> Iterable[WeightedVote]:
    """2nd place of AIMO-2 (imagination_aimo2/aggregators.py): answers that are small or round weigh less, and the larger wins a tie."""
    by = ballot.config.weighted

    def suspect(answer: int) -> bool:
        return answer <= by.up_to or answer % by.multiple_of == 0

    return each(ballot, lambda candidate: by.weight if candidate.answer is not None and suspect(candidate.answer) else 1.0)


@strategy()
def arbitrary(ballot: Ballot) -> Iterable[WeightedVote]:
    """One candidate by lot: what any selection has to beat."""
    lot = random.Random(f"{ballot.config.seed}/{ballot.problem}").randrange(max(1, len(ballot.candidates)))
    return [vote._replace(weight=float(place == lot)) for place, vote in enumerate(majority(ballot))]


# ---- a baseline: how sure it sounds --------------------------------------------------------------------------------------------------

SURE = re.compile(r"\b(?:therefore|thus|hence|clearly|verified|confirmed|indeed|exactly|we conclude|must be)\b", re.IGNORECASE)
UNSURE = re.compile(r"\b(?:maybe|perhaps|might|guess|not sure|probably|approximately|assume|seems)\b", re.IGNORECASE)
LONG = 2000
"""Characters from which on a text counts as worked out. The public summary names words and length but no numbers: these are ours."""


@strategy()
def heuristic(ballot: Ballot) -> Iterable[WeightedVote]:
    """The candidate that sounds surest, by key words and length: a baseline that a public summary takes for GenSelect, which it is not."""
    scores = [_sureness(candidate) for candidate in ballot.candidates]
    surest = scores.index(max(scores)) if scores else 0
    return [vote._replace(weight=float(place == surest)) for place, vote in enumerate(majority(ballot))]


def _sureness(candidate: Candidate) -> float:
    words = len(SURE.findall(candidate.text)) - len(UNSURE.findall(candidate.text))
    return words + min(1.0, len(candidate.text) / LONG)
