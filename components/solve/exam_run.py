"""A whole exam: question by question as the clock allows, logged as it goes.

A run is cut into batches. On an engine whose time is counted in steps a batch is `max_concurrent_questions` problems, and the next one
begins when all of it is done, so that batches, and with them the bytes, never depend on how fast anything ran or on where a
killed run stopped. On the wall clock the run is one batch, every attempt is written down when it ends (attempt_log.py), and a question
begins as soon as another ends; where attempts know nothing of each other, as soon as there are slots for all of its attempts.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.types import Candidate, Problem, QuestionRecord, Row
from components.lib import references, tool_syntax
from components.lib.answers import AnswerSource, Contest
from components.lib.code_budget import CodeBudget
from components.lib.engine.chat_template import template_of
from components.lib.engine.protocol import Engine, EngineError, Sampling
from components.lib.rules.early_stopping import StopRule
from components.lib.rules.length_model import LengthModel
from components.lib.rules.time_budget import History, TimeBudget
from components.lib.sandbox.protocol import Sandbox, SandboxError
from components.solve.attempt import AttemptParams
from components.solve.attempt_log import AttemptLog
from components.solve.plans import Plan
from components.solve.question_run import QuestionRun
from components.solve.stop_conditions import StopConditionName

log = logging.getLogger(__name__)


class Solve(Config, section="solve", keyed=True):
    """How a run asks."""

    seed: int
    engine: str
    engine_by_format: dict[str, str]
    """Another engine for a quantized model: {fp8: server}."""
    model: str | None
    """Who attempts, where dvc.yaml takes its name from here (teacher, practice); an examinee's stands in `exam`."""
    prompts: str
    """Where a recipe's own prompts lie: dvc.yaml watches it."""
    plan: Plan
    syntax: tool_syntax.SyntaxName | Literal["auto"]
    """How the model calls code; auto: as its own chat template says."""
    max_executions: int
    code_budget: CodeBudget | None
    """Draws each attempt's own `max_executions`, where its prompt names it (field {executions}: tir-budget); null: all have the same."""
    show_remaining_executions: bool
    """Whether the model is told how many code runs are left."""
    preamble: str
    """Lines put before each program (the 2nd place of AIMO-2: imports)."""
    max_tokens: int
    """Generated tokens of one attempt."""
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    logprobs: int
    """Likeliest tokens over which each token's entropy is taken; 0: none is stored."""
    stop_conditions: list[StopConditionName]
    """What ends an attempt before its model does."""
    answer_source: AnswerSource
    """What an attempt votes for: its box or what its code printed."""
    lowest_answer: int
    """An attempt with a smaller one abstains, where contest.low is below (2nd and 11th place of AIMO-2: 0 is no answer)."""
    max_concurrent_questions: int
    shards: int = Field(ge=1)
    """Parts of the problems that run on machines of their own (shards.py)."""
    early_stopping: list[StopRule]
    """What ends a question before all attempts have; any of them does."""
    time_budget: TimeBudget

    @model_validator(mode="after")
    def _budget_can_be_kept(self) -> Self:
        if self.code_budget and self.code_budget.high > self.max_executions:
            raise ValueError(f"code_budget.high ({self.code_budget.high}) is beyond max_executions ({self.max_executions}); raise that")
        if self.code_budget and self.plan.kind not in ("fixed", "second_round"):
            raise ValueError("code_budget wants a plan in which each attempt has a prompt of its own: fixed, second_round")
        return self

    @property
    def independent(self) -> bool:
        """Whether an attempt is the same whatever others are made beside it: no clock, no stops, no rounds."""
        return self.plan.kind == "fixed" and not self.early_stopping and self.time_budget.kind == "none"


def syntax_of(config: Solve, model: Path) -> tool_syntax.SyntaxName:
    """The family of calls that `model` is asked in; raises UserError where it is to be told from a chat template that is not there."""
    if config.syntax != "auto":
        return config.syntax
    reference = references.of(model)
    if reference and reference.path is None:
        raise UserError(f"params.yaml: solve.syntax: {model} has no chat template to tell it from; write the name instead of auto")
    return tool_syntax.recognise(template_of(references.resolve(model)))


def attempt_params(config: Solve, contest: Contest, model: Path) -> AttemptParams:
    """How this run's attempts at asking `model` are made."""
    sampling = Sampling(
        config.temperature, config.top_p, config.top_k, config.min_p, config.max_tokens, (),
        repetition_penalty=config.repetition_penalty, logprobs=config.logprobs,
    )  # fmt: skip
    syntax = tool_syntax.SYNTAXES[syntax_of(config, model)]
    return AttemptParams(
        sampling,
        config.max_executions,
        config.code_budget,
        config.show_remaining_executions,
        syntax,
        tuple(config.stop_conditions),
        config.answer_source,
        contest.model_copy(update={"low": max(contest.low, config.lowest_answer)}),
        config.seed,
        config.preamble,
    )


class LoggedQuestion(Row):
    """A finished question, as one line of the growing file; `elapsed` is the run's clock when it was logged."""

    record: QuestionRecord
    candidates: tuple[Candidate, ...]
    elapsed: float


class QuestionRunner:
    """Question by question: what the clock allows it, from what it has seen of the earlier ones."""

    def __init__(self, config: Solve, params: AttemptParams, num_questions: int, folder: Path = Path()) -> None:
        """`folder`: where the paths of params.yaml begin."""
        self._config, self._params, self._num_questions = config, params, num_questions
        self._lengths = LengthModel.load(folder / config.time_budget.model) if config.time_budget.kind == "tokens" else None
        self.used, self.limits = list[float](), list[float]()

    def remember(self, limit_s: float, used_s: float) -> None:
        """A question that was run before."""
        self.limits.append(limit_s)
        self.used.append(used_s)

    async def run(
        self,
        problem: Problem,
        elapsed: float,
        engine: Engine,
        box: Sandbox,
        log: AttemptLog | None = None,
        freed: Callable[[], None] = lambda: None,
    ) -> QuestionRun:
        """Runs one question, `elapsed` seconds after the run began; returns its run as it was left. `log` and `freed`: as QuestionRun's."""
        expected = self._lengths.predict(problem.statement) if self._lengths else None
        budget = self._config.time_budget.allow(History(self._num_questions, elapsed, self.used, self.limits, expected))
        self.limits.append(budget.limit_s)
        how = self._params
        if budget.max_tokens is not None:
            how = how._replace(sampling=how.sampling._replace(max_tokens=min(how.sampling.max_tokens, budget.max_tokens)))
        question = QuestionRun(problem, how, self._config.early_stopping, engine, box, budget, log, freed)
        try:
            if budget.limit_s > 0:
                await self._config.plan.sample(question)
        finally:
            await question.close()
            self.used.append(question.spent_s)
        return question


class QuestionSlots:
    """The slots that a question holds, out of those of all attempts that may be alive at once."""

    def __init__(self, free: asyncio.Semaphore, num: int) -> None:
        self._free, self._num = free, num

    async def take(self) -> None:
        """Waits until all are free. One question at a time: two that hold half each would wait for ever."""
        for _ in range(self._num):
            await self._free.acquire()

    def release(self, num: int | None = None) -> None:
        """Gives back so many, or all that are left."""
        num = self._num if num is None else num
        self._num -= num
        for _ in range(num):
            self._free.release()


class ExamRun:
    """An exam being run: which questions are done, and what the clock allows the next one."""

    def __init__(
        self,
        config: Solve,
        params: AttemptParams,
        engine: Engine,
        box: Sandbox,
        asked: Sequence[Problem],
        growing: rows.JsonlWriter,
        attempts: AttemptLog | None,
    ) -> None:
        """`attempts`: where each is kept, on the wall clock."""
        self._config, self._params, self._engine, self._box, self._asked, self._growing = config, params, engine, box, asked, growing
        self._attempts = attempts
        self._places = {problem.id: place for place, problem in enumerate(asked)}
        self._runner = QuestionRunner(config, params, len(asked))
        self._elapsed = 0.0

    async def run(self, logged: Mapping[str, "Timing"]) -> None:
        """Runs what was not logged before. Raises what engine or sandbox failed with, once the questions that were open are over."""
        size = self._config.max_concurrent_questions if self._engine.step_s else len(self._asked)
        for begin in range(0, len(self._asked), max(1, size)):
            batch = self._asked[begin : begin + size]
            if self._engine.step_s and not all(problem.id in logged for problem in batch):
                left = batch  # a batch is run whole, or its batches would differ
            else:
                left = [problem for problem in batch if problem.id not in logged]
                self._remember([logged[problem.id] for problem in batch if problem.id in logged])
            if left:
                await self._run_batch(left)
                log.info("%d of %d questions, %.0f s on the run's clock", begin + len(batch), len(self._asked), self._elapsed)

    def _remember(self, logged: Sequence["Timing"]) -> None:
        for question in logged:
            self._runner.remember(question.limit_s, question.used_s)
            self._elapsed = max(self._elapsed, question.elapsed)

    async def _run_batch(self, batch: Sequence[Problem]) -> None:
        opened, elapsed, each = self._engine.now(), self._elapsed, self._config.plan.max_concurrency
        free, failures = asyncio.Semaphore(each * self._config.max_concurrent_questions), list[EngineError | SandboxError]()
        by_attempt = self._attempts is not None and self._config.independent

        async def run(problem: Problem, held: QuestionSlots) -> None:
            freed = (lambda: held.release(1)) if by_attempt else (lambda: None)
            now = elapsed + self._engine.now() - opened
            try:
                question = await self._runner.run(problem, now, self._engine, self._box, self._attempts, freed)
                self._log(question, elapsed + self._engine.now() - opened)
            except (EngineError, SandboxError) as failure:
                failures.append(failure)
            finally:
                held.release()

        async with asyncio.TaskGroup() as group:
            for problem in batch:
                held = QuestionSlots(free, each)
                await held.take()
                if failures:
                    break
                group.create_task(run(problem, held))
        self._elapsed = round(elapsed + self._engine.now() - opened, 3)
        if failures:
            raise failures[0]

    def _log(self, question: QuestionRun, elapsed: float) -> None:
        record = QuestionRecord(
            problem=question.problem.id,
            place=self._places[question.problem.id],
            limit_s=round(question.budget.limit_s, 3),
            used_s=round(question.spent_s, 3),
            planned=question.planned,
            stopped_by=question.rules[question.stopped_by.rule].kind if question.stopped_by else None,
            given_up=question.stopped_by is not None and question.stopped_by.given_up,
        )
        self._growing.append(LoggedQuestion(record=record, candidates=question.candidates(), elapsed=round(elapsed, 3)))


class Timing(NamedTuple):
    """Where a logged question lies in the growing file, and what the clock has to know of it."""

    at: int
    limit_s: float
    used_s: float
    elapsed: float


class QuestionLog:
    """The growing file in the problems' order, read row by row; where a batch was run twice (a run was killed), the later one counts."""

    def __init__(self, kept: Path, order: Sequence[str]) -> None:
        self._kept, self._order = kept, order
        self.timings, at = dict[str, Timing](), 0
        with kept.open("rb") as lines:
            for line in lines:
                question = LoggedQuestion.model_validate_json(line)
                self.timings[question.record.problem] = Timing(at, question.record.limit_s, question.record.used_s, question.elapsed)
                at += len(line)

    def __iter__(self) -> Iterator[LoggedQuestion]:
        with self._kept.open("rb") as lines:
            for name in self._order:
                lines.seek(self.timings[name].at)
                yield LoggedQuestion.model_validate_json(lines.readline())
