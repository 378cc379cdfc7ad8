"""Voting strategies: one decorated pure function each, found by its name in params.yaml (vote.strategies).

A strategy says what each candidate's voice weighs; counting, ties and abstentions are decided once, in `count`. Candidates come in the
order in which they finished; those that abstain or were cancelled are not among them.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from components.core.types import Candidate, Judgement, Support


class Ballot(NamedTuple):
    """One problem's material."""

    problem: str
    candidates: Sequence[Candidate]
    """Those with an answer, in the order in which they finished."""
    judgements: Sequence[Judgement]
    seed: int


Weigh = Callable[[Ballot], Sequence[float]]
"""One weight per candidate of the ballot."""


class Strategy(NamedTuple):
    """How voices are weighed, and whether the larger answer wins a tie (else the one whose first supporter finished first)."""

    weigh: Weigh
    larger_wins: bool


STRATEGIES: dict[str, Strategy] = {}


def strategy(larger_wins: bool = False) -> Callable[[Weigh], Weigh]:
    """Makes a function a strategy of its own name."""

    def register(weigh: Weigh) -> Weigh:
        STRATEGIES[weigh.__name__] = Strategy(weigh, larger_wins)
        return weigh

    return register


@strategy()
def majority(ballot: Ballot) -> Sequence[float]:
    """Each candidate one voice."""
    return [1.0] * len(ballot.candidates)


@strategy(larger_wins=True)
def weighted(ballot: Ballot) -> Sequence[float]:
    """2nd place of AIMO-2 (imagination_aimo2/aggregators.py): 0.6 for answers up to 20 or multiples of 100; the larger wins a tie."""
    return [
        0.6 if candidate.answer is not None and (candidate.answer <= 20 or candidate.answer % 100 == 0) else 1.0
        for candidate in ballot.candidates
    ]


@strategy()
def genselect(ballot: Ballot) -> Sequence[float]:
    """A voice per reading that chose the candidate; a problem that was not read, since all agree, falls to its majority."""
    if not ballot.judgements:
        return majority(ballot)
    chosen = [judgement.chosen for judgement in ballot.judgements]
    return [float(chosen.count(candidate.index)) for candidate in ballot.candidates]


@strategy()
def arbitrary(ballot: Ballot) -> Sequence[float]:
    """One candidate by lot: what any selection has to beat."""
    lot = random.Random(f"{ballot.seed}/{ballot.problem}").randrange(max(1, len(ballot.candidates)))
    return [float(place == lot) for place in range(len(ballot.candidates))]


def count(ballot: Ballot, by: Strategy) -> tuple[Support, ...]:
    """What each answer gathered, strongest first; answers without any weight stand last."""
    weights: dict[int, float] = defaultdict(float)
    behind: dict[int, list[int]] = defaultdict(list)
    for candidate, weight in zip(ballot.candidates, by.weigh(ballot), strict=True):
        if candidate.answer is not None:
            weights[candidate.answer] += weight
            behind[candidate.answer].append(candidate.index)
    order = list(weights)

    def strength(answer: int) -> tuple[float, int]:
        return (-round(weights[answer], 9), -answer if by.larger_wins else order.index(answer))

    return tuple(
        Support(answer=answer, weight=round(weights[answer], 9), candidates=tuple(behind[answer]))
        for answer in sorted(weights, key=strength)
    )
