"""One engine on each machine of a Ray cluster, as actors: requests go to the one that has fewest open, answers come back one by one.

It is asked through `run` alone, by functions of an engine and an item: a prompt is made where the tokenizer is. An actor whose worker
dies is started again, with its engine, and what it had open is asked again. Time is the wall clock's: there are no batches that engines on
several machines could keep in step. Answers are those of one engine wherever it answers a request alike whatever is asked beside it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from typing import Any, Self, TypeVar

from components.core import ray_cluster
from components.lib.engine.protocol import Engine, EngineError

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)


class ShardedEngine:
    """`num` engines, or as many as there are machines."""

    step_s = None

    def __init__(self, num: int, opened: Callable[[], Engine]) -> None:
        """`opened`: makes an engine that is not entered yet; it must be importable or picklable on the other machines. Raises UserError
        where Ray is not installed."""
        ray_cluster.installed()
        self.num, self._opened, self._stack = num, opened, ExitStack()

    async def __aenter__(self) -> Self:
        self._ray = self._stack.enter_context(ray_cluster.cluster())
        machines = ray_cluster.machines(self._ray)
        if machines.num < self.num:
            log.warning("params.yaml: shards is %d, the cluster has %d machines: as many engines are started", self.num, machines.num)
            self.num = machines.num
        actor = self._ray.remote(max_restarts=ray_cluster.RETRIES, max_task_retries=ray_cluster.RETRIES, **machines.options())(_Worker)
        self._workers, self._open = [actor.remote(self._opened) for _ in range(self.num)], [0] * self.num
        try:
            names = await asyncio.gather(*(self._answer(worker.name.remote()) for worker in self._workers))
        except BaseException:
            await self.__aexit__()
            raise
        self.name = ", ".join(sorted(set(names)))
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._stack:
            for worker in self._workers:
                with suppress(self._ray.exceptions.RayError):
                    await worker.close.remote()
                self._ray.kill(worker)

    def announce(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def run(self, ask: Callable[[Engine, T], Coroutine[None, None, R]], item: T) -> R:
        """What `ask` makes of the item with one of the engines. Raises what it raised there, and EngineError where its workers died."""
        place = self._open.index(min(self._open))
        self._open[place] += 1
        try:
            answer: R = await self._answer(self._workers[place].run.remote(ask, item))
            return answer
        finally:
            self._open[place] -= 1

    async def _answer(self, reference: Any) -> Any:
        try:
            return await reference
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise EngineError(f"ray: an engine failed {ray_cluster.RETRIES + 1} times with its worker; the last time: {error}") from error


class _Worker:
    """On its machine: an engine, entered by the first that asks; so it is after a restart, too."""

    def __init__(self, opened: Callable[[], Engine]) -> None:
        self._opened, self._entering = opened, asyncio.Lock()
        self._engine: Engine | None = None

    async def name(self) -> str:
        return (await self._entered()).name

    async def run(self, ask: Callable[[Engine, T], Coroutine[None, None, R]], item: T) -> R:
        return await ask(await self._entered(), item)

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.__aexit__(None, None, None)

    async def _entered(self) -> Engine:
        async with self._entering:
            if self._engine is None:
                self._engine = await self._opened().__aenter__()
        return self._engine
