"""What the finished attempts of one question say, after each of them: the only thing that a stopping rule sees.

Arrays have shape [..., T]: T events in order of finishing, before them any number of axes (a replay's draws; none in a live run).
Everything is counted with running counts over the last axis, no loop over events, so that a thousand draws cost milliseconds. A live
run looks at the last event, a replay at the first one that settles. numpy is imported where it is used.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

ABSTAINS = -1
"""Stands for an attempt without an answer; contest answers are never negative."""


class Tally:
    """Counts over the finished attempts of one question (or of many draws of one question)."""

    def __init__(self, answers: "Numbers", at_s: "Numbers", planned: int) -> None:
        self.answers = answers
        """int64 [..., T]; ABSTAINS where the attempt has no answer."""
        self.at_s = at_s
        """float [..., T]: seconds from the opening of the question to each event, never falling."""
        self.planned = planned
        """How many attempts the question has in all, running ones included."""

    @classmethod
    def of(cls, answers: Sequence[int | None], at_s: Sequence[float], planned: int) -> Self:
        """A live question's tally; None abstains."""
        import numpy as np

        return cls(np.array([ABSTAINS if a is None else a for a in answers], np.int64), np.array(at_s, float), planned)

    @cached_property
    def finished(self) -> "Numbers":
        """[T]: attempts that have ended, with or without an answer: 1, 2, ... T."""
        import numpy as np

        return np.arange(1, self.answers.shape[-1] + 1)

    @cached_property
    def running(self) -> "Numbers":
        """[T]: attempts that have not ended."""
        return self.planned - self.finished

    @cached_property
    def valid(self) -> "Numbers":
        """bool: whether this very event brought an answer."""
        return self.answers >= 0

    @cached_property
    def answered(self) -> "Numbers":
        """Attempts that ended with an answer."""
        return self.valid.cumsum(-1)

    @cached_property
    def nth(self) -> "Numbers":
        """The event's answer has now been given so many times; 0 where the attempt abstained."""
        return occurrences(self.answers) * self.valid

    @cached_property
    def first(self) -> "Numbers":
        """Votes of the leading answer."""
        import numpy as np

        return np.maximum.accumulate(self.nth, -1)

    @cached_property
    def second(self) -> "Numbers":
        """Votes of the runner-up, 0 where there is none. An answer's n-th vote lifts the second place to n iff another had n before."""
        import numpy as np

        return np.maximum.accumulate(np.where(occurrences(self.nth) >= 2, self.nth, 0), -1)

    @cached_property
    def distinct(self) -> "Numbers":
        """Different answers so far, 0 not counted (it is junk)."""
        return ((self.nth == 1) & (self.answers > 0)).cumsum(-1)

    @cached_property
    def junk(self) -> "Numbers":
        """Attempts that abstained or answered 0."""
        return (self.answers <= 0).cumsum(-1)

    def first_among(self, num_answers: int) -> "Numbers":
        """Votes of the leading answer among the first `num_answers` answers (abstentions do not count as answers)."""
        import numpy as np

        return np.maximum.accumulate(np.where(self.answered <= num_answers, self.nth, 0), -1)

    def first_of_last(self, num_answers: int) -> "Numbers":
        """Votes of the leading answer among the last `num_answers` answers."""
        import numpy as np

        T = self.answers.shape[-1]
        order = np.argsort(~self.valid, axis=-1, kind="stable")  # answers to the front, in order
        queue = np.take_along_axis(self.answers, order, -1)
        best = np.zeros(queue.shape, np.int64)
        for back in range(min(num_answers, T)):  # votes inside the window for the answer that stands `back` places before its end
            votes = np.zeros(queue.shape, np.int64)
            for other in range(min(num_answers, T)):
                start = max(back, other)
                votes[..., start:] += queue[..., start - back : T - back] == queue[..., start - other : T - other]
            votes[..., :back] = 0
            best = np.maximum(best, votes)
        at = np.take_along_axis(best, np.maximum(self.answered - 1, 0), -1)
        return np.where(self.answered > 0, at, 0)


def occurrences(values: "Numbers") -> "Numbers":
    """How often each event's value has occurred up to and with it, along the last axis: [5, 5, 7, 5] -> [1, 2, 1, 3]."""
    import numpy as np

    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, -1)
    place = np.arange(values.shape[-1])
    begins: Numbers = np.ones(values.shape, bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    counts: Numbers = np.empty(values.shape, np.int64)
    np.put_along_axis(counts, order, place - np.maximum.accumulate(np.where(begins, place, 0), -1) + 1, -1)
    return counts
