"""Stops because of a winner: enough agreement, or a lead that the rest will hardly turn.

Votes are counted over attempts with an answer; whoever wants "answers above 0" only (as 2nd place of AIMO-2) says so in contest.low.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Literal, NamedTuple

from components.core.params import Settings

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers, Tally


class Agree(Settings):
    """`equal` of the first `of_first` answers are the same. 1st place of AIMO-2: 4 of the first 5 (write-up; paper, 6.3)."""

    kind: Literal["agree"]
    of_first: int
    equal: int

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.first_among(self.of_first) >= self.equal


class Last(Settings):
    """`equal` of the last `of_last` answers are the same. 2nd place of AIMO-2, rule (b): 4 of the last 5."""

    kind: Literal["last"]
    of_last: int
    equal: int

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.first_of_last(self.of_last) >= self.equal


class Repeated(NamedTuple):
    """At most so many answers, so many of them equal."""

    at_most: int
    equal: int


class Repeats(Settings):
    """While there are few answers, fewer equal ones do. 2nd place of AIMO-2, rules (a), (c), (d): [[4, 4], [7, 5], [9, 6]]."""

    kind: Literal["repeats"]
    steps: list[Repeated]

    def settled(self, tally: "Tally") -> "Numbers":
        return reduce(or_, ((tally.answered <= step.at_most) & (tally.first >= step.equal) for step in self.steps), tally.first < 0)


class Identical(Settings):
    """An answer has `equal` votes. 17th place of AIMO-2: 3; the public base of AIMO-3: 4."""

    kind: Literal["identical"]
    equal: int

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.first >= self.equal


class Share(Settings):
    """An answer has at least this share of all planned attempts as votes. JK-Piece (AIMO-2): 0.33 of 12."""

    kind: Literal["share"]
    share: float

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.first >= self.share * tally.planned


class ShareOfAnswers(Settings):
    """More than `more_than` answers, and one holds more than this share of them. 3rd place of AIMO-2: more than 6 and 0.7."""

    kind: Literal["share_of_answers"]
    more_than: int
    share: float

    def settled(self, tally: "Tally") -> "Numbers":
        return (tally.answered > self.more_than) & (tally.first > self.share * tally.answered)


class Band(NamedTuple):
    """With this many finished attempts (both ends counted), so many are needed."""

    low: int
    high: int
    needed: int


class Lead(Settings):
    """First minus second reaches what the band of finished attempts asks. 11th place of AIMO-2: [[4, 7, 3], [8, 11, 2], [12, 16, 1]]."""

    kind: Literal["lead"]
    bands: list[Band]

    def settled(self, tally: "Tally") -> "Numbers":
        return within(self.bands, tally.finished, tally.first - tally.second)


class Unreachable(Settings):
    """No outcome of what still runs can lift another answer above the first: second + running <= first.

    5th place of AIMO-2, "conservative"; 2nd place of AIMO-3. An answer that nobody has given yet is covered: it would need more than
    `running` votes too.
    """

    kind: Literal["unreachable"]

    def settled(self, tally: "Tally") -> "Numbers":
        return tally.second + tally.running <= tally.first


class Radical(Settings):
    """The first holds a share of the finished attempts above a line that falls from one share to another.

    5th place of AIMO-2: first >= n (80 % - (n - 5) / (planned - 5) * 30 %). The line is drawn from n = 5 on, so the rule acts from there.
    """

    kind: Literal["radical"]
    begin_at: int
    """Finished attempts at which the line begins: 5."""
    share_at_begin: float
    """0.8"""
    share_at_end: float
    """The share needed when all have finished: 0.5."""

    def settled(self, tally: "Tally") -> "Numbers":
        way = (tally.finished - self.begin_at) / max(1, tally.planned - self.begin_at)
        needed = tally.finished * (self.share_at_begin - way * (self.share_at_begin - self.share_at_end))
        return (tally.finished >= self.begin_at) & (tally.first >= needed - 1e-9)  # 5 * 0.8 may come out as 4.000000000000001


def within(bands: list[Band], count: "Numbers", value: "Numbers") -> "Numbers":
    """Whether the value reaches what the band of the count asks; outside of all bands never."""
    return reduce(or_, ((count >= band.low) & (count <= band.high) & (value >= band.needed) for band in bands), value < value)
