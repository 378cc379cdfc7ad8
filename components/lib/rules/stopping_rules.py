"""The stopping rules: because of a winner (agreement, a lead that the rest will hardly turn), because there is enough (answers, finished
attempts, answers for the time that has passed), or because the question is lost (then it is given up, and its answer is the fallback).

Votes are counted over attempts with an answer; whoever wants "answers above 0" only (as 2nd place of AIMO-2) says so in lowest_answer.
"""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from components.core.params import Settings

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers, Tally


class Agree(Settings):
    """`equal` of the first `of_first` answers are the same. 1st place of AIMO-2: 4 of the first 5 (write-up; paper, 6.3)."""

    kind: Literal["agree"]
    of_first: int
    equal: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.first_among(self.of_first) >= self.equal


class Last(Settings):
    """`equal` of the last `of_last` answers are the same. 2nd place of AIMO-2, rule (b): 4 of the last 5."""

    kind: Literal["last"]
    of_last: int
    equal: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.first_of_last(self.of_last) >= self.equal


class Repeated(NamedTuple):
    """At most so many answers, so many of them equal."""

    at_most: int
    equal: int


class Repeats(Settings):
    """While there are few answers, fewer equal ones do. 2nd place of AIMO-2, rules (a), (c), (d): [[4, 4], [7, 5], [9, 6]]."""

    kind: Literal["repeats"]
    steps: list[Repeated]

    def should_stop(self, tally: "Tally") -> "Numbers":
        return reduce(or_, ((tally.answered <= step.at_most) & (tally.first >= step.equal) for step in self.steps), tally.first < 0)


class Identical(Settings):
    """An answer has `equal` votes. 17th place of AIMO-2: 3; the public base of AIMO-3: 4."""

    kind: Literal["identical"]
    equal: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.first >= self.equal


class Share(Settings):
    """An answer has at least this share of all planned attempts as votes. JK-Piece (AIMO-2): 0.33 of 12."""

    kind: Literal["share"]
    share: float

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.first >= self.share * tally.planned


class ShareOfAnswers(Settings):
    """More than `more_than` answers, and one holds more than this share of them. 3rd place of AIMO-2: more than 6 and 0.7."""

    kind: Literal["share_of_answers"]
    more_than: int
    share: float

    def should_stop(self, tally: "Tally") -> "Numbers":
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

    def should_stop(self, tally: "Tally") -> "Numbers":
        return within(self.bands, tally.finished, tally.first - tally.second)


class Unreachable(Settings):
    """No outcome of what still runs can lift another answer above the first: second + running <= first.

    5th place of AIMO-2, "conservative"; 2nd place of AIMO-3. An answer that nobody has given yet is covered: it would need more than
    `running` votes too.
    """

    kind: Literal["unreachable"]

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.second + tally.running <= tally.first


class Radical(Settings):
    """The first holds a share of the finished attempts above a line that falls from one share to another.

    5th place of AIMO-2: first >= n (80 % - (n - 5) / (planned - 5) * 30 %), "linearly interpolate between 4 consistent answers when 5 are
    obtained" and "50% consistent answers when all obtained": from n = 5 on, so that 3 of 3 and 4 of 4 go on.
    """

    kind: Literal["radical"]
    begin_at: int
    """Finished attempts at which the line begins: 5."""
    share_at_begin: float
    """0.8"""
    share_at_end: float
    """The share needed when all have finished: 0.5."""

    def should_stop(self, tally: "Tally") -> "Numbers":
        way = (tally.finished - self.begin_at) / max(1, tally.planned - self.begin_at)
        needed = tally.finished * (self.share_at_begin - way * (self.share_at_begin - self.share_at_end))
        return (tally.finished >= self.begin_at) & (tally.first >= needed - 1e-9)  # 5 * 0.8 may come out as 4.000000000000001


def within(bands: list[Band], count: "Numbers", value: "Numbers") -> "Numbers":
    """Whether the value reaches what the band of the count asks; outside of all bands never."""
    return reduce(or_, ((count >= band.low) & (count <= band.high) & (value >= band.needed) for band in bands), value < value)


class Count(Settings):
    """So many attempts gave an answer. 2nd place of AIMO-2, rule (e): 6 to 10 by the speed class."""

    kind: Literal["count"]
    answers: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return tally.answered >= self.answers


class Stragglers(Settings):
    """So many attempts have ended; the last ones are not waited for. 1st place of AIMO-2: 10 of 12."""

    kind: Literal["stragglers"]
    finished: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return (tally.finished >= self.finished) & (tally.first >= 0)  # the second half lends its shape [..., T]


class Exit(NamedTuple):
    """From so many seconds on, so many answers are enough."""

    after_s: float
    answers: int


class Exits(Settings):
    """The later it is, the fewer answers are enough; looked at whenever an attempt ends and, by the wall clock, at each of its times.

    2nd place of AIMO-2, speed class fast: [[420, 5], [480, 4], [540, 3]] (7, 8 and 9 minutes).
    """

    kind: Literal["exits"]
    exits: list[Exit]

    def should_stop(self, tally: "Tally") -> "Numbers":
        late = ((tally.at_s >= exit.after_s) & (tally.answered >= exit.answers) for exit in self.exits)
        return reduce(or_, late, tally.answered < 0)


class Junk(Settings):
    """Too many attempts abstained or answered 0, by bands of finished attempts: [[5, 7, 5], [8, 11, 4], [12, 16, 6]]."""

    gives_up: ClassVar[bool] = True
    kind: Literal["junk"]
    bands: list[Band]

    def should_stop(self, tally: "Tally") -> "Numbers":
        return within(self.bands, tally.finished, tally.junk)


class Diverged(Settings):
    """So many finished attempts (8), and so many different answers among them (6; 0 is junk, not an answer)."""

    gives_up: ClassVar[bool] = True
    kind: Literal["diverged"]
    finished: int
    distinct: int

    def should_stop(self, tally: "Tally") -> "Numbers":
        return (tally.finished >= self.finished) & (tally.distinct >= self.distinct)
