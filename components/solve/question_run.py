"""One question's run: attempts side by side, the stopping rules after each that ends, cancellation of the rest.

A plan (plans/) decides which attempts there are and in which rounds; this runs them, keeps them in the order in which they began, and
looks at the rules. Knows no plan and no clock but the engine's.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from components.core.types import Candidate, Message, Problem
from components.lib import prompts
from components.lib.engine.concurrency import start_tasks
from components.lib.engine.protocol import Engine
from components.lib.rules import early_stopping
from components.lib.rules.tally import Tally
from components.lib.rules.time_budget import QuestionBudget
from components.lib.sandbox.protocol import Sandbox
from components.solve.attempt import Attempt, AttemptParams


class FinishedAttempt(NamedTuple):
    """An attempt that ended: what it votes for, and when (seconds since the question was opened)."""

    attempt: int
    answer: int | None
    at_s: float


class QuestionRun:
    """The attempts at one problem."""

    def __init__(
        self,
        problem: Problem,
        params: AttemptParams,
        rules: Sequence[early_stopping.StopRule],
        engine: Engine,
        box: Sandbox,
        budget: QuestionBudget,
    ) -> None:
        self.problem, self.params, self.engine, self.box = problem, params, engine, box
        self.budget = budget
        self.rules = [*rules, *budget.stops()]
        self.planned = 0
        """Attempts that will count, as far as the plan knows by now."""
        self.attempts: list[Attempt] = []
        self.finished: list[FinishedAttempt] = []
        self.stopped_by: early_stopping.StopDecision | None = None
        """Which rule ended the question, if one did."""
        self._opened = engine.now()
        self.spent_s = 0.0
        """What the question used, once it is closed."""

    @property
    def stopped(self) -> bool:
        return self.stopped_by is not None

    def used_s(self) -> float:
        return self.engine.now() - self._opened

    def new_attempt(self, mode: str, text: str = "", parent: Attempt | None = None, **fields: str | int) -> Attempt:
        """A new attempt, not yet begun, asked by the prompt `mode` with these fields; `text` is put into its mouth."""
        asked = Message(role="user", content=self._prompt(mode, fields), loss=False)
        prompt = self.engine.render([asked], self.params.syntax.template_arguments)
        return self._keep(Attempt(self.problem, len(self.attempts), mode, prompt, parent), text)

    def branch(self, parent: Attempt, text: str = "") -> Attempt:
        """A new attempt that goes on from all that `parent` said."""
        return self._keep(parent.branch(len(self.attempts)), text)

    async def run(
        self,
        attempts: Sequence[Attempt],
        params: AttemptParams | Callable[[Attempt], AttemptParams] | None = None,
        counts: bool = True,
        last: bool = True,
    ) -> None:
        """Runs attempts side by side until each has ended or a rule holds. `counts`: the rules look at them when they end.

        `params`: others than the run's, for all or for each. `last` false: an attempt that reaches its budget may be taken up
        again and has not ended.
        """
        how = params or self.params
        tasks: list[asyncio.Task[None]] = []

        async def run(attempt: Attempt) -> None:
            paused = False
            try:
                await attempt.go(
                    self.engine, self.box, how if isinstance(how, AttemptParams) else how(attempt), self._opened + self.budget.limit_s
                )
                paused = attempt.finish_reason == "length" and not last
                if counts and not paused and self._end(attempt):  # before its session is closed, which takes a while that nobody counts
                    for task in tasks:
                        if task is not asyncio.current_task():
                            task.cancel()
            finally:
                if not paused:
                    await attempt.close()

        async with asyncio.TaskGroup() as group:
            tasks += start_tasks(group, self.engine, [run(attempt) for attempt in attempts])

    def _end(self, attempt: Attempt) -> bool:
        """Books an attempt that ended; whether a rule holds now."""
        self.finished.append(FinishedAttempt(attempt.index, attempt.extract_answers(self.params).chosen.answer, self.used_s()))
        at_s = list(accumulate((finished.at_s for finished in self.finished), max))  # engines that play replies have a clock per attempt
        tally = Tally.of([finished.answer for finished in self.finished], at_s, max(self.planned, len(at_s)))
        self.stopped_by = self.stopped_by or early_stopping.check(self.rules, tally)
        return self.stopped

    async def close(self) -> None:
        """Ends the question: from here on its time stands still."""
        for attempt in self.attempts:
            await attempt.close()
        self.spent_s = self.used_s()

    def candidates(self) -> tuple[Candidate, ...]:
        """All attempts as rows, by index, once the question is closed."""
        ended = {finished.attempt: (finished.at_s, rank) for rank, finished in enumerate(self.finished)}
        rows = ((attempt, *ended.get(attempt.index, (self.spent_s, None))) for attempt in self.attempts)
        return tuple(attempt.candidate(self.params, at_s, rank, self.box.isolation) for attempt, at_s, rank in rows)

    def _keep(self, attempt: Attempt, text: str) -> Attempt:
        attempt.begin(self.engine.encode(text))
        self.attempts.append(attempt)
        return attempt

    def _prompt(self, mode: str, fields: dict[str, str | int]) -> str:
        contest = self.params.contest
        always: dict[str, str | int] = {
            "statement": self.problem.statement,
            "executions": self.params.max_executions,
            "low": contest.low,
            "high": contest.high,
        }
        known = {**always, **fields}
        return prompts.render(mode, **{name: known[name] for name in prompts.fields(mode) if name in known})
