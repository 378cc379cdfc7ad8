"""The solver's interface: a recipe's plan, stops, clock and vote as one callable (id, question) -> answer.

Engine and sandbox are opened inside the first question, because the first response has no limit of its own and a server that loads a model
before it listens may never count as started. The run's clock runs from the opening of the solver, by the wall: that is the notebook's
clock, whatever second the engine counts. The first of vote.strategies answers; it has no GenSelect judgements and no checks here. All
attempts are kept, as rows that `vote` and `replay` read.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.types import Problem
from components.gateway.exam_run import Gateway
from components.lib import references
from components.lib.answer_groups import finished
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox
from components.lib.votes.ballot import Ballot, decide, strategies
from components.lib.votes.config import VoteConfig
from components.serve.notebook import Answer
from components.solve.exam_run import QuestionRunner, Solve, attempt_params
from components.solve.question_run import QuestionRun

UNKNOWN = -1
"""The right answer, for a vote that is not graded here."""


@contextmanager
def solver(key: str, model: Path, params: Path, folder: Path) -> Iterator[Answer]:
    """The solver of `solve.<key>` in a params file, with this model, as infra/machine.yaml beside that file says.

    `folder`: where its candidates go, each solver's into a file of its own.
    """
    with asyncio.Runner() as runner, _closing(runner, AsyncExitStack()) as held:
        votes = VoteConfig.load(params)
        strategies(votes.strategies)  # refuses a name that is none
        served = _OpenSolver(key, model, params, held)
        kept = held.enter_context(rows.JsonlWriter(_fresh(folder)))
        known: dict[str, int | None] = {}

        def answer(name: str, text: str) -> int | None:
            if text in known:  # the same statement under another id
                return known[text]
            asked = Problem(id=name, statement=text, answer=None, source="gateway", licence="", group=name)
            question = runner.run(served.ask(asked))
            candidates = question.candidates()
            for candidate in candidates:
                kept.append(candidate)
            made = [] if question.stopped_by and question.stopped_by.given_up else finished(candidates)
            ballot = Ballot(name, made, [], [], votes, late=question.budget.limit_s <= 0)
            known[text] = decide(ballot, votes.strategies[0], UNKNOWN).answer
            return known[text]

        yield answer


def _fresh(folder: Path) -> Path:
    """candidates.jsonl, or the first of candidates-2.jsonl, … that is not there."""
    names = itertools.chain(["candidates.jsonl"], (f"candidates-{number}.jsonl" for number in itertools.count(2)))
    return next(folder / name for name in names if not (folder / name).exists())


@contextmanager
def _closing(runner: asyncio.Runner, held: AsyncExitStack) -> Iterator[AsyncExitStack]:
    try:
        yield held
    finally:
        runner.run(held.aclose())


class _OpenSolver:
    """A run whose questions come one by one from outside: what is open, and what the clock has seen."""

    def __init__(self, key: str, model: Path, params: Path, held: AsyncExitStack) -> None:
        self._config, self._engines, self._sandbox = Solve.load(params, key), Engines.load(params), SandboxConfig.load(params)
        self._hosts, self._capacity = EngineHosts.load(params.parent), SandboxCapacity.load(params.parent)
        made = attempt_params(self._config, Contest.load(params), model)
        self._runner = QuestionRunner(self._config, made, Gateway.load(params).num_questions, params.parent)
        if references.of(model) is None and not model.exists():
            raise UserError(f"{model}: there is no such model; --model names a model's folder or a reference to one")
        self._model, self._held = model, held
        self._kind = kind_for(model, self._config.engine, self._config.engine_by_format)
        self._began = time.monotonic()
        self._open: tuple[Engine, Sandbox] | None = None

    async def ask(self, asked: Problem) -> QuestionRun:
        """The next question with all attempts that the clock allows it."""
        engine, box = self._open = self._open or await self._enter()
        return await self._runner.run(asked, time.monotonic() - self._began, engine, box)

    async def _enter(self) -> tuple[Engine, Sandbox]:
        engine = await self._held.enter_async_context(open_engine(self._kind, self._engines, self._hosts, self._model))
        return engine, await self._held.enter_async_context(open_sandbox(self._sandbox, self._capacity))
