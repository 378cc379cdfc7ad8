"""The seam to the solver: a recipe's plan, stops, clocks and vote as one callable (id, question) -> answer.

Engine and sandbox are opened inside the first question, because the first response has no limit of its own and a server that loads a
model before it listens may never count as started. The sitting's clock runs from the opening of the seam, by the wall: that is the
notebook's clock, whatever second the engine counts. The first of vote.strategies answers; it has no GenSelect readings here.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from components.core.types import Candidate, Problem
from components.lib import tool_syntax
from components.lib.answers import Contest
from components.lib.engine.config import Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.lib.sandbox.local import SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox
from components.serve.notebook import Answer
from components.solve.question import Rules, question
from components.solve.stage import Solve
from components.vote.stage import VoteBy
from components.vote.strategies import STRATEGIES, Ballot, count


@contextmanager
def solver(key: str, model: Path, params: Path) -> Iterator[Answer]:
    """The solver of `solve.<key>` in a params file, with this model."""
    with asyncio.Runner() as runner, _closing(runner, AsyncExitStack()) as held:
        config, votes, opened = Solve.load(params, key), VoteBy.load(params), time.monotonic()
        sitting = _Sitting(config, Engines.load(params), SandboxConfig.load(params), Contest.load(params), model, held)

        def answer(name: str, text: str) -> int | None:
            limit_s = min(config.clock.question_s, config.clock.sitting_s - (time.monotonic() - opened))
            if limit_s <= 0:
                return None
            asked = Problem(id=name, statement=text, answer=None, source="gateway", licence="", group=name)
            return _vote(asked, runner.run(sitting.candidates(asked, limit_s)), votes)

        yield answer


@contextmanager
def _closing(runner: asyncio.Runner, held: AsyncExitStack) -> Iterator[AsyncExitStack]:
    try:
        yield held
    finally:
        runner.run(held.aclose())


class _Sitting:
    """What is opened once, by the first question."""

    def __init__(
        self, config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, model: Path, held: AsyncExitStack
    ) -> None:
        self._config, self._engines, self._sandbox, self._model, self._held = config, engines, sandbox, model, held
        sampling = Sampling(config.temperature, config.top_p, config.top_k, config.min_p, config.max_tokens, (tool_syntax.END,))
        self._rules = Rules(config.plan, sampling, config.max_executions, config.stop, contest, config.seed)
        self._open: tuple[Engine, Sandbox] | None = None

    async def candidates(self, asked: Problem, limit_s: float) -> tuple[Candidate, ...]:
        if self._open is None:
            kind = kind_for(self._model, self._config.engine, self._config.engine_by_format)
            engine = await self._held.enter_async_context(open_engine(kind, self._engines, self._model))
            self._open = engine, await self._held.enter_async_context(open_sandbox(self._sandbox))
        return await question(asked, self._rules, *self._open, limit_s)


def _vote(asked: Problem, candidates: tuple[Candidate, ...], votes: VoteBy) -> int | None:
    finished = sorted((c for c in candidates if c.answer is not None), key=lambda c: (c.rank is None, c.rank))
    support = count(Ballot(asked.id, finished, [], votes.seed), STRATEGIES[votes.strategies[0]])
    return support[0].answer if support else None
