"""How long the next question may take: each time budget a pure function of what the run has used so far, found by its kind.

    time_budget: {kind: buffer, exam_s: 17400, base_s: 350, cap_s: 210}

`allow` is asked when a question begins. Whatever a time budget plans, no question gets more than is left of `exam_s`, so that a run whose
questions keep their limits never passes it; a limit of 0 means: no attempt, the fallback answers. Sources are the write-ups of AIMO-2 and
AIMO-3. Does not know what time it is: who asks counts the seconds.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from components.core.errors import UserError
from components.core.params import Settings
from components.lib.rules.stopping_rules import Count, Exit, Exits

UNLIMITED_S = 1e9
"""A question's limit where there is no clock: 31 years."""


class History(NamedTuple):
    """A run at the moment when its next question begins."""

    num_questions: int
    """Of the whole run."""
    elapsed_s: float
    """Since the run began: the questions' seconds and whatever lay between them."""
    used: Sequence[float]
    """Seconds that each finished question used, in order."""
    limits: Sequence[float]
    """The limit of each question that has begun, in order."""
    predicted_tokens: float | None = None
    """What a length model expects of one attempt at the coming question; only time budget `tokens` asks."""

    @property
    def num_left(self) -> int:
        """Questions that have not begun, the coming one included."""
        return max(1, self.num_questions - len(self.limits))


class QuestionBudget(NamedTuple):
    """What the coming question may use; None leaves the plan's own number."""

    limit_s: float
    candidates: int | None = None
    """How many attempts at most."""
    max_tokens: int | None = None
    """Generated tokens of one attempt."""
    min_answers: int | None = None
    """So many answers are enough."""
    exits: tuple[Exit, ...] = ()
    """From so many seconds on, so many answers are enough."""

    def stops(self) -> list[Count | Exits]:
        """The stopping rules that hold for this question beside the recipe's."""
        enough: list[Count | Exits] = [] if self.min_answers is None else [Count(kind="count", answers=self.min_answers)]
        return [*enough, Exits(kind="exits", exits=list(self.exits))] if self.exits else enough


class Unlimited(Settings):
    """No clock: rows are made, or an exam is taken as papers report it, every attempt to its end."""

    kind: Literal["none"]

    def allow(self, history: History) -> QuestionBudget:
        return QuestionBudget(UNLIMITED_S)

    def check(self, num_questions: int) -> None:
        """Any number will do."""


class ExamBudget(Settings):
    """What all time budgets share: the end of the run."""

    exam_s: float
    """For the whole exam."""

    def allow(self, history: History) -> QuestionBudget:
        plan = self.plan(history)
        return plan._replace(limit_s=max(0.0, min(plan.limit_s, self.left_s(history))))

    def check(self, num_questions: int) -> None:
        """Raises UserError where it cannot be the clock of so many questions."""

    def left_s(self, history: History) -> float:
        """Seconds until the run's end; negative when it has passed."""
        return self.exam_s - history.elapsed_s

    def plan(self, history: History) -> QuestionBudget:
        """The time budget's own wish, before the end of the run cuts it."""
        raise NotImplementedError


class Fixed(ExamBudget):
    """Every question the same seconds."""

    kind: Literal["fixed"]
    question_s: float

    def plan(self, history: History) -> QuestionBudget:
        return QuestionBudget(self.question_s)


class Equal(ExamBudget):
    """What is left, in equal parts. 4th place of AIMO-2."""

    kind: Literal["equal"]

    def plan(self, history: History) -> QuestionBudget:
        return QuestionBudget(self.left_s(history) / history.num_left)


class Buffer(ExamBudget):
    """A base, and on top at most `cap_s` of what earlier questions saved; what was overdrawn is deducted. 1st place of AIMO-2: 350, 210.

    Used 100, 560, 350 of limits 350, 560, 390: saved 250, 40, 40.
    """

    kind: Literal["buffer"]
    base_s: float
    cap_s: float

    def plan(self, history: History) -> QuestionBudget:
        saved = sum(self.base_s - used for used in history.used)
        return QuestionBudget(self.base_s + min(self.cap_s, saved))


class Cutoffs(ExamBudget):
    """Each question must be over at its own moment of the run. 3rd place of AIMO-2 (`cutoff_times`)."""

    kind: Literal["cutoffs"]
    ends_s: list[float]
    """Seconds of the run at which the first, second, ... question ends; rising."""

    @model_validator(mode="after")
    def _rising(self) -> "Cutoffs":
        if any(later <= earlier for earlier, later in pairwise([0.0, *self.ends_s])):
            raise ValueError("ends_s must rise from question to question")
        return self

    def check(self, num_questions: int) -> None:
        if num_questions > len(self.ends_s):
            raise UserError(f"time_budget.ends_s names {len(self.ends_s)} ends, but there are {num_questions} questions; add the others")

    def plan(self, history: History) -> QuestionBudget:
        self.check(history.num_questions)
        return QuestionBudget(self.ends_s[min(len(history.limits), len(self.ends_s) - 1)] - history.elapsed_s)


class Pace(NamedTuple):
    """A speed class: it holds while the seconds per question left are below `below_s` (null: no upper end)."""

    below_s: float | None
    limit_s: float
    candidates: int
    min_answers: int
    exits: list[Exit]


class Speed(ExamBudget):
    """Speed classes by the seconds left per question. 2nd place of AIMO-2, with two defects of the original mended.

    1. There a negative average (the cutoff has passed) matched no range and fell back to *normal*; here whatever is below the first bound
       is the fastest class, and the end of the run leaves it no second.
    2. There the classes never acted before question 30; here `begin_at` says from which question on (0: from the first). The fixed pace
       until then spends up to 30 times its limit unseen, so a hard beginning leaves nothing for the rest.
    """

    kind: Literal["speed"]
    paces: list[Pace]
    """Fastest first; the original's are below 300, 345, 370, 420 seconds and above, with 10, 12, 15, 16, 17 attempts."""
    start: int
    """Place in `paces` of the class that holds before question `begin_at`."""
    begin_at: int
    """Question, counted from 0, from which on the time that is left decides (original: 30)."""
    every: int
    """It is decided anew every so many questions (original: 2)."""

    @model_validator(mode="after")
    def _ordered(self) -> "Speed":
        bounds = [pace.below_s for pace in self.paces]
        if not bounds or bounds[-1] is not None or None in bounds[:-1] or any(b <= a for a, b in pairwise(bounds[:-1])):  # type: ignore[operator]
            raise ValueError("paces must rise in below_s, and the last one's is null")
        if not 0 <= self.start < len(self.paces) or self.every < 1:
            raise ValueError("start is a place in paces, and every is at least 1")
        return self

    def plan(self, history: History) -> QuestionBudget:
        pace = self.paces[self.pace(history)]
        return QuestionBudget(pace.limit_s, pace.candidates, None, pace.min_answers, tuple(pace.exits))

    def pace(self, history: History) -> int:
        """Place in `paces` of the class that holds for the coming question."""
        coming = len(history.limits)
        if coming < self.begin_at:
            return self.start
        since = (coming - self.begin_at) % self.every  # questions since it was last decided
        left_then = self.left_s(history) + sum(history.used[len(history.used) - since :])
        average = left_then / (history.num_left + since)
        return next(place for place, pace in enumerate(self.paces) if pace.below_s is None or average < pace.below_s)


class Planned(ExamBudget):
    """What the last question saved or overdrew goes to the next: planned + (planned - actual). 7th place of AIMO-2.

    Two neighbours together never pass twice the plan; older savings are forgotten.
    """

    kind: Literal["planned"]
    planned_s: float

    def plan(self, history: History) -> QuestionBudget:
        return QuestionBudget(self.planned_s + (self.planned_s - history.used[-1] if history.used else 0.0))


class Reserve(ExamBudget):
    """All that is left but a reserve for each later question, within bounds. The public base of AIMO-3 (Bisiadis): 300, 300 to 900."""

    kind: Literal["reserve"]
    reserve_s: float
    low_s: float
    high_s: float

    def plan(self, history: History) -> QuestionBudget:
        free = self.left_s(history) - (history.num_left - 1) * self.reserve_s
        return QuestionBudget(min(self.high_s, max(self.low_s, free)))


class Tokens(ExamBudget):
    """Fixed seconds, and a token budget by the length that the statement lets expect. 9th place of AIMO-2: 10,500 to 13,300."""

    kind: Literal["tokens"]
    question_s: float
    model: str
    """A file that `python -m components.lib.rules.length_model` wrote; who asks passes what it predicts as History.predicted_tokens."""
    scale: float
    """Budget per expected token."""
    low: int
    high: int

    def plan(self, history: History) -> QuestionBudget:
        if history.predicted_tokens is None:
            raise UserError(f"time_budget.kind tokens: no expected length for the coming question; train a length model into {self.model}")
        return QuestionBudget(self.question_s, max_tokens=min(self.high, max(self.low, round(self.scale * history.predicted_tokens))))


TimeBudget = Annotated[
    Unlimited | Fixed | Equal | Buffer | Cutoffs | Speed | Planned | Reserve | Tokens,
    Field(discriminator="kind"),
]
