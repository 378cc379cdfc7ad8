"""What a strategy sees of a problem, and how votes become an answer: abstentions, ties and the fallback are decided here, once.

A strategy says which answer each candidate speaks for and how much that weighs. It is pure: the same ballot gives the same votes. Knows no
files, no engine and no clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from components.core.errors import UserError
from components.core.params import did_you_mean
from components.core.types import Candidate, Check, Judgement, Support, Vote
from components.lib.votes.config import VoteConfig


class Ballot(NamedTuple):
    """One problem's material."""

    problem: str
    candidates: Sequence[Candidate]
    """Those with an answer, in the order in which they finished."""
    judgements: Sequence[Judgement]
    checks: Sequence[Check]
    config: VoteConfig
    late: bool = False
    """Whether the run was over before the question's turn came."""


class WeightedVote(NamedTuple):
    """One candidate speaks for one answer; None speaks for none."""

    candidate: int
    answer: int | None
    weight: float


VoteFunction = Callable[[Ballot], Iterable[WeightedVote]]


class Strategy(NamedTuple):
    """How votes are cast and ties are broken."""

    cast: VoteFunction
    larger_wins: bool
    """Whether the larger answer wins a tie, else the one whose first supporter finished first."""
    per_candidate: bool
    """Whether a candidate's votes are the same whoever else is on the ballot: a replay weighs each candidate once."""


STRATEGIES: dict[str, Strategy] = {}


def strategy(larger_wins: bool = False, per_candidate: bool = False) -> Callable[[VoteFunction], VoteFunction]:
    """Makes a function a strategy of its own name."""

    def register(cast: VoteFunction) -> VoteFunction:
        assert cast.__name__ not in STRATEGIES, cast
        STRATEGIES[cast.__name__] = Strategy(cast, larger_wins, per_candidate)
        return cast

    return register


def each(ballot: Ballot, weigh: Callable[[Candidate], float]) -> list[WeightedVote]:
    """Every candidate speaks for its own answer, with the weight that it gets."""
    return [WeightedVote(candidate.index, candidate.answer, weigh(candidate)) for candidate in ballot.candidates]


def strategies(names: Iterable[str]) -> dict[str, Strategy]:
    """The strategies of these names; raises UserError where there is none."""
    for name in (name for name in names if name not in STRATEGIES):
        near = did_you_mean(name, list(STRATEGIES))
        raise UserError(f"params.yaml: vote.strategies: no strategy '{name}'{near}; there are: {', '.join(STRATEGIES)}")
    return {name: STRATEGIES[name] for name in names}


def count(ballot: Ballot, by: Strategy) -> tuple[Support, ...]:
    """What each answer gathered, strongest first; answers without any weight stand last."""
    weights: dict[int, float] = defaultdict(float)
    behind: dict[int, list[int]] = defaultdict(list)
    for vote in by.cast(ballot):
        if vote.answer is not None:
            weights[vote.answer] += vote.weight
            behind[vote.answer].append(vote.candidate)
    order = {answer: place for place, answer in enumerate(weights)}

    def strength(answer: int) -> tuple[float, int]:
        return (-round(weights[answer], 9), -answer if by.larger_wins else order[answer])

    return tuple(
        Support(answer=answer, weight=round(weights[answer], 9), candidates=tuple(behind[answer]))
        for answer in sorted(weights, key=strength)
    )


def decide(ballot: Ballot, name: str, gold: int) -> Vote:
    """The vote of one strategy. An answer that nothing weighs for does not win: then the fallback is answered, and is not correct."""
    support = count(ballot, STRATEGIES[name])
    voted = bool(support) and support[0].weight > 0
    fallback = ballot.config.fallback_out_of_time if ballot.late else ballot.config.fallback
    answer = support[0].answer if voted else fallback
    return Vote(
        problem=ballot.problem,
        strategy=name,
        answer=answer,
        fallback=not voted and answer is not None,
        gold=gold,
        correct=voted and answer == gold,
        support=support,
    )
