"""One question's run: attempts side by side, the stopping rules after each that ends, cancellation of the rest.

A plan (plans/) decides which attempts there are and in which rounds; this runs them, keeps them in the order in which they began, and
looks at the rules. Knows no plan and no clock but the engine's.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from components.core.types import Candidate, Message, Problem
from components.lib import prompts
from components.lib.engine.concurrency import start_tasks
from components.lib.engine.protocol import Engine, EngineError
from components.lib.rules import early_stopping
from components.lib.rules.stopping_rules import Exits
from components.lib.rules.tally import Tally
from components.lib.rules.time_budget import QuestionBudget
from components.lib.sandbox.protocol import Sandbox, SandboxError
from components.solve import attempt_log
from components.solve.attempt import Attempt, AttemptParams
from components.solve.attempt_log import AttemptLog


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
        log: AttemptLog | None = None,
        freed: Callable[[], None] = lambda: None,
    ) -> None:
        """`log`: where attempts are written down and looked up. `freed`: called whenever one needs no slot any more."""
        self.problem, self.params, self.engine, self.box = problem, params, engine, box
        self.budget, self._log, self._freed = budget, log, freed
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
        again and has not ended. Where engine or sandbox failed one, the others end first, and then the failure rises.
        """
        asked = {attempt: params(attempt) if callable(params) else params or self.params for attempt in attempts}
        how = {one: given._replace(max_executions=self._executions(one.mode, one.index)) for one, given in asked.items()}
        keys = {attempt: attempt_log.key(attempt, how[attempt]) for attempt in attempts} if self._log else {}
        left = self._restore(keys, counts) if self._log else attempts
        tasks: list[asyncio.Task[None]] = []
        failures: list[EngineError | SandboxError] = []

        async def run(attempt: Attempt) -> None:
            paused = False
            try:
                await attempt.go(self.engine, self.box, how[attempt], self._opened + self.budget.limit_s)
                paused = attempt.finish_reason == "length" and not last
                if self._log and not paused:
                    self._log.append(keys[attempt], attempt, self.used_s())
                if counts and not paused and self._end(attempt, self.used_s()):  # before its session is closed: nobody counts that time
                    for task in tasks:
                        if task is not asyncio.current_task():
                            task.cancel()
            except (EngineError, SandboxError) as failure:
                failures.append(failure)
            finally:
                if not paused:
                    await attempt.close()
                    if not failures:
                        self._freed()

        async with asyncio.TaskGroup() as group:
            if not self.stopped:
                tasks += start_tasks(group, self.engine, [run(attempt) for attempt in left])
                clock = group.create_task(self._stop_in_time(tasks))
                if tasks:
                    await asyncio.wait(tasks)
                clock.cancel()
        if failures and not self.stopped:
            raise failures[0]

    async def _stop_in_time(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """By the wall clock, looks at the rules again when one's time has come. On a clock of steps time passes with the tokens alone."""
        times = sorted(exit.after_s for rule in self.rules if isinstance(rule, Exits) for exit in rule.exits)
        for after_s in times if self.engine.step_s is None else ():
            await asyncio.sleep(max(0.0, after_s - self.used_s()))
            if self.finished and self._rule_holds(self.used_s()):
                for task in tasks:
                    task.cancel()
                return

    def _restore(self, keys: Mapping[Attempt, str], counts: bool) -> Sequence[Attempt]:
        """Ends those that the log knows, in their order, and returns the others; the question's clock goes on from there."""
        assert self._log is not None
        known = {attempt: self._log.find(key) for attempt, key in keys.items()}
        for attempt, kept in sorted(((a, k) for a, k in known.items() if k), key=lambda pair: pair[1].at_s):
            kept.restore(attempt)
            self._opened -= max(0.0, kept.at_s - self.used_s())
            self._freed()
            if counts and not self.stopped:
                self._end(attempt, kept.at_s)
        return [attempt for attempt, kept in known.items() if kept is None]

    def _end(self, attempt: Attempt, at_s: float) -> bool:
        """Books an attempt that ended; whether a rule holds now."""
        self.finished.append(FinishedAttempt(attempt.index, attempt.extract_answers(self.params).chosen.answer, at_s))
        return self._rule_holds()

    def _rule_holds(self, now_s: float = 0.0) -> bool:
        """Whether a rule holds after the last attempt that ended, or `now_s`, where that is later."""
        times = list(accumulate((finished.at_s for finished in self.finished), max))  # engines that play replies have a clock per attempt
        times[-1] = max(times[-1], now_s)
        tally = Tally.of([finished.answer for finished in self.finished], times, max(self.planned, len(times)))
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

    def _executions(self, mode: str, index: int) -> int:
        """Code runs of an attempt: its own number where its prompt names one."""
        if self.params.code_budget is None or "executions" not in prompts.fields(mode):
            return self.params.max_executions
        return self.params.code_budget.draw(self.problem.id, index)

    def _prompt(self, mode: str, fields: dict[str, str | int]) -> str:
        contest = self.params.contest
        always: dict[str, str | int] = {
            "statement": self.problem.statement,
            "executions": self._executions(mode, len(self.attempts)),
            "low": contest.low,
            "high": contest.high,
        }
        known = {**always, **fields}
        return prompts.render(mode, **{name: known[name] for name in prompts.fields(mode) if name in known})
