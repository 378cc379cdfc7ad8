"""What each stored candidate says in a vote, asked once per problem and not once per draw: strategies that weigh each candidate alone."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.core.types import Candidate
from components.lib.votes import ballot
from components.lib.votes.numbers import Votes

STRATEGIES = {name: strategy for name, strategy in ballot.STRATEGIES.items() if strategy.alone}


class Voice(NamedTuple):
    """The candidate at this place speaks for this answer."""

    place: int
    answer: int
    weight: float


def voices(name: str, problem: str, candidates: Sequence[Candidate], numbers: Votes) -> Iterator[Voice]:
    """The voices of candidates in order of finishing, by a strategy of components/lib/votes."""
    places = {candidate.index: place for place, candidate in enumerate(candidates)}
    answered = [candidate for candidate in candidates if candidate.answer is not None]
    for voice in STRATEGIES[name].cast(ballot.Ballot(problem, answered, [], [], numbers)):
        if voice.answer is not None:
            yield Voice(places[voice.candidate], voice.answer, voice.weight)
