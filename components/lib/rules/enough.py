"""Stops because there is enough: answers, finished attempts, or answers for the time that has passed."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Literal, NamedTuple

from components.core.params import Settings

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers, Tally


class Count(Settings):
    """So many attempts gave an answer. 2nd place of AIMO-2, rule (e): 6 to 10 by the speed class."""

    kind: Literal["count"]
    answers: int

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.answered >= self.answers


class Stragglers(Settings):
    """So many attempts have ended; the last ones are not waited for. 1st place of AIMO-2: 10 of 12."""

    kind: Literal["stragglers"]
    finished: int

    def settled(self, tally: "Tally") -> "Numbers":
        return (tally.finished >= self.finished) & (tally.first >= 0)  # the second half lends its shape [..., T]


class Exit(NamedTuple):
    """From so many seconds on, so many answers are enough."""

    after_s: float
    answers: int


class Exits(Settings):
    """The later it is, the fewer answers are enough; looked at whenever an attempt ends.

    2nd place of AIMO-2, speed class fast: [[420, 5], [480, 4], [540, 3]] (7, 8 and 9 minutes).
    """

    kind: Literal["exits"]
    exits: list[Exit]

    def settled(self, tally: "Tally") -> "Numbers":
        late = ((tally.at_s >= exit.after_s) & (tally.answered >= exit.answers) for exit in self.exits)
        return reduce(or_, late, tally.answered < 0)
