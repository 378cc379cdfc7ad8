"""Which answer each stored candidate speaks for and how loud, whoever else is drawn: what a replay counts at the moment of the stop.

A strategy here is a function of the candidates alone, so it is asked once per problem and not once per draw. A strategy that looks at
the others on the ballot is none of these.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from components.core.types import Candidate


class Voice(NamedTuple):
    """The candidate at this place speaks for this answer."""

    place: int
    answer: int
    weight: float


Cast = Callable[[Sequence[Candidate]], Iterator[Voice]]


class Strategy(NamedTuple):
    """How voices are cast, and whether the larger answer wins a tie (else the one whose first supporter finished first)."""

    cast: Cast
    larger_wins: bool


def each(weigh: Callable[[Candidate, int], float]) -> Cast:
    """Every candidate speaks for its own answer; `weigh` says how loud."""

    def cast(candidates: Sequence[Candidate]) -> Iterator[Voice]:
        for place, candidate in enumerate(candidates):
            if candidate.answer is not None:
                yield Voice(place, candidate.answer, weigh(candidate, candidate.answer))

    return cast


STRATEGIES = {
    "majority": Strategy(each(lambda candidate, answer: 1.0), larger_wins=False),
    # 2nd place of AIMO-2: answers up to 20 and multiples of 100 weigh 0.6, the larger wins a tie
    "weighted": Strategy(each(lambda candidate, answer: 0.6 if answer <= 20 or answer % 100 == 0 else 1.0), larger_wins=True),
    # public base of AIMO-3: 1 / mean entropy, at least 1e-9; no voice where entropies are not known
    "inverse_entropy": Strategy(
        each(lambda candidate, answer: 1.0 / max(fmean(candidate.entropies), 1e-9) if candidate.entropies else 0.0), larger_wins=False
    ),
}
