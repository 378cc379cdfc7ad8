"""Stops because the question is lost: it is given up, and its answer is the fallback. Both rules are 11th place's of AIMO-2."""

from typing import TYPE_CHECKING, ClassVar, Literal

from components.core.params import Settings
from components.lib.rules.winners import Band, within

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers, Tally


class Junk(Settings):
    """Too many attempts abstained or answered 0, by bands of finished attempts: [[5, 7, 5], [8, 11, 4], [12, 16, 6]]."""

    gives_up: ClassVar[bool] = True
    kind: Literal["junk"]
    bands: list[Band]

    def settled(self, tally: "Tally") -> "Numbers":
        return within(self.bands, tally.finished, tally.junk)


class Diverged(Settings):
    """So many finished attempts (8), and so many different answers among them (6; 0 is junk, not an answer)."""

    gives_up: ClassVar[bool] = True
    kind: Literal["diverged"]
    finished: int
    distinct: int

    def settled(self, tally: "Tally") -> "Numbers":
        return (tally.finished >= self.finished) & (tally.distinct >= self.distinct)
