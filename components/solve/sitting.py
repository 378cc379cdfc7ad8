"""A whole paper: question by question as the clock allows, handed in as it goes.

A sitting is cut into sheets. On an engine whose time is counted in steps a sheet is `questions_at_once` problems, and the next one
begins when all of it is done, so that batches, and with them the bytes, never depend on how fast anything ran or on where a
killed run stopped. On the wall clock the sitting is one sheet, and a question begins as soon as another ends.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field

from components.core import rows
from components.core.params import Config
from components.core.types import Candidate, Problem, Row, Sat
from components.lib import tool_syntax
from components.lib.answers import Contest, Prefer
from components.lib.engine.protocol import Engine, Sampling
from components.lib.rules.clocks import Clock, History
from components.lib.rules.length_model import Length
from components.lib.rules.stops import Stop
from components.lib.sandbox.protocol import Sandbox
from components.solve.attempt import Manner
from components.solve.desk import Desk
from components.solve.ends import End
from components.solve.plans import Plan

log = logging.getLogger(__name__)


class Solve(Config, section="solve", keyed=True):
    """How a sitting asks."""

    seed: int
    engine: str
    engine_by_format: dict[str, str]
    """Another engine for a quantized model: {fp8: server}."""
    model: str | None
    """Who attempts, where dvc.yaml takes its name from here (teacher, practice); an examinee's stands in `exam`."""
    prompts: str
    """Where a recipe's own prompts lie: dvc.yaml watches it."""
    plan: Plan
    syntax: tool_syntax.SyntaxName
    """How the model calls code."""
    max_executions: int
    notice: bool
    """Whether the model is told how many code runs are left."""
    max_tokens: int
    """Generated tokens of one attempt."""
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repetition_penalty: float
    logprobs: int
    """Likeliest tokens over which each token's entropy is taken; 0: none is stored."""
    ends: list[End]
    """What ends an attempt before its model does."""
    prefer: Prefer
    """What an attempt votes for: its box or what its code printed."""
    questions_at_once: int
    shards: int = Field(ge=1)
    """Parts of the problems that are sat on machines of their own (shards.py)."""
    stop: list[Stop]
    """What ends a question before all attempts have; any of them does."""
    clock: Clock


def manner(config: Solve, contest: Contest) -> Manner:
    """How this sitting's attempts are made."""
    sampling = Sampling(
        config.temperature, config.top_p, config.top_k, config.min_p, config.max_tokens, (),
        repetition_penalty=config.repetition_penalty, logprobs=config.logprobs,
    )  # fmt: skip
    syntax = tool_syntax.SYNTAXES[config.syntax]
    return Manner(sampling, config.max_executions, config.notice, syntax, tuple(config.ends), config.prefer, contest, config.seed)


class Handed(Row):
    """A finished question, as one line of the growing file; `elapsed` is the sitting's clock when it was handed in."""

    sat: Sat
    candidates: tuple[Candidate, ...]
    elapsed: float


class Timekeeper:
    """Question by question: what the clock allows it, from what it has seen of the earlier ones."""

    def __init__(self, config: Solve, manner: Manner, num_questions: int, folder: Path = Path()) -> None:
        """`folder`: where the paths of params.yaml begin."""
        self._config, self._manner, self._num_questions = config, manner, num_questions
        self._lengths = Length.load(folder / config.clock.model) if config.clock.kind == "tokens" else None
        self.used, self.limits = list[float](), list[float]()

    def remember(self, limit_s: float, used_s: float) -> None:
        """A question that was sat before."""
        self.limits.append(limit_s)
        self.used.append(used_s)

    async def sit(self, problem: Problem, elapsed: float, engine: Engine, box: Sandbox) -> Desk:
        """Sits one question, `elapsed` seconds after the sitting began; returns the desk as it was left."""
        expected = self._lengths.predict(problem.statement) if self._lengths else None
        allowance = self._config.clock.allow(History(self._num_questions, elapsed, self.used, self.limits, expected))
        self.limits.append(allowance.limit_s)
        how = self._manner
        if allowance.max_tokens is not None:
            how = how._replace(sampling=how.sampling._replace(max_tokens=min(how.sampling.max_tokens, allowance.max_tokens)))
        desk = Desk(problem, how, self._config.stop, engine, box, allowance)
        try:
            if allowance.limit_s > 0:
                await self._config.plan.sit(desk)
        finally:
            await desk.close()
            self.used.append(desk.spent_s)
        return desk


class Sitting:
    """A paper being sat: which questions are done, and what the clock allows the next one."""

    def __init__(
        self, config: Solve, manner: Manner, engine: Engine, box: Sandbox, asked: Sequence[Problem], growing: rows.Growing
    ) -> None:
        self._config, self._manner, self._engine, self._box, self._asked, self._growing = config, manner, engine, box, asked, growing
        self._places = {problem.id: place for place, problem in enumerate(asked)}
        self._timekeeper = Timekeeper(config, manner, len(asked))
        self._elapsed = 0.0

    async def sit(self, handed: Sequence[Handed]) -> None:
        """Sits what was not handed in before."""
        done = {question.sat.problem: question for question in handed}
        size = self._config.questions_at_once if self._engine.step_s else len(self._asked)
        for begin in range(0, len(self._asked), max(1, size)):
            sheet = self._asked[begin : begin + size]
            if self._engine.step_s and not all(problem.id in done for problem in sheet):
                left = sheet  # a sheet is sat whole, or its batches would differ
            else:
                left = [problem for problem in sheet if problem.id not in done]
                self._remember([done[problem.id] for problem in sheet if problem.id in done])
            if left:
                await self._sheet(left)
                log.info("%d of %d questions, %.0f s on the sitting's clock", begin + len(sheet), len(self._asked), self._elapsed)

    def _remember(self, handed: Sequence[Handed]) -> None:
        for question in handed:
            self._timekeeper.remember(question.sat.limit_s, question.sat.used_s)
            self._elapsed = max(self._elapsed, question.elapsed)

    async def _sheet(self, sheet: Sequence[Problem]) -> None:
        seats, opened, elapsed = asyncio.Semaphore(self._config.questions_at_once), self._engine.now(), self._elapsed

        async def sit(problem: Problem) -> None:
            async with seats:
                desk = await self._timekeeper.sit(problem, elapsed + self._engine.now() - opened, self._engine, self._box)
                self._hand_in(desk, elapsed + self._engine.now() - opened)

        async with asyncio.TaskGroup() as group:
            for problem in sheet:
                group.create_task(sit(problem))
        self._elapsed = round(elapsed + self._engine.now() - opened, 3)

    def _hand_in(self, desk: Desk, elapsed: float) -> None:
        sat = Sat(
            problem=desk.problem.id,
            place=self._places[desk.problem.id],
            limit_s=round(desk.allowance.limit_s, 3),
            used_s=round(desk.spent_s, 3),
            planned=desk.planned,
            stopped_by=desk.rules[desk.over.rule].kind if desk.over else None,
            given_up=desk.over is not None and desk.over.given_up,
        )
        self._growing.append(Handed(sat=sat, candidates=desk.candidates(), elapsed=round(elapsed, 3)))


class Keeper:
    """The growing file in the problems' order, read row by row; where a sheet was sat twice (a run was killed), the later one counts."""

    def __init__(self, kept: Path, order: Sequence[str]) -> None:
        self._kept, self._order = kept, order
        self._where, at = dict[str, int](), 0
        with kept.open("rb") as lines:
            for line in lines:
                self._where[Handed.model_validate_json(line).sat.problem] = at
                at += len(line)

    def __iter__(self) -> Iterator[Handed]:
        with self._kept.open("rb") as lines:
            for name in self._order:
                lines.seek(self._where[name])
                yield Handed.model_validate_json(lines.readline())
