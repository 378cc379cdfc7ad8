"""Several callers of one engine, side by side: all are announced before the first one asks, so that a batch waits for all of them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from components.core import rows
from components.core.ordered_rows import OrderedWriter
from components.core.types import Row
from components.lib.engine.protocol import Engine, EngineError
from components.lib.engine.shards import ShardedEngine

T = TypeVar("T")
R = TypeVar("R", bound=Row)
log = logging.getLogger(__name__)


def start_tasks(
    group: asyncio.TaskGroup, engine: Engine | ShardedEngine, callers: Sequence[Coroutine[None, None, T]]
) -> list[asyncio.Task[T]]:
    """Starts each caller as a task of the group; the engine counts it until it ends, however it ends."""
    announced = [ExitStack() for _ in callers]
    for stack in announced:
        stack.enter_context(engine.announce())
    tasks = [group.create_task(caller) for caller in callers]
    for task, stack in zip(tasks, announced, strict=True):
        task.add_done_callback(partial(_leave, stack))
    return tasks


async def gather(engine: Engine | ShardedEngine, callers: Sequence[Coroutine[None, None, T]]) -> list[T]:
    """What all callers return, in their order; where one fails, the others are cancelled and its error rises as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = start_tasks(group, engine, callers)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def map_resumable(
    engine: Engine | ShardedEngine,
    given: Iterable[T],
    ask: Callable[[Engine, T], Coroutine[None, None, R]],
    kind: type[R],
    kept: Path,
    num_concurrent: int,
) -> None:
    """Appends one row to `kept` for each of `given`, in order; what a killed run left there is not asked again.

    `ask` is given the engine, which may be on another machine (shards.py); each has `num_concurrent` open.
    Where time is counted in steps a chunk of `num_concurrent` is answered whole before the next one begins: batches, and the bytes, do
    not depend on who was faster. On the wall clock the next one is asked as soon as one is answered, and each answer is kept at once.
    Raises what the engine failed with; on the wall clock once those that are open are over.
    """
    if isinstance(engine, ShardedEngine):
        await _map_window(engine, given, partial(engine.run, ask), kind, kept, num_concurrent * engine.num)
    else:
        mapped = _map_window if engine.step_s is None else _map_chunks
        await mapped(engine, given, partial(ask, engine), kind, kept, num_concurrent)


async def _map_chunks(
    engine: Engine, given: Iterable[T], ask: Callable[[T], Coroutine[None, None, R]], kind: type[R], kept: Path, num_concurrent: int
) -> None:
    with rows.JsonlWriter(kept) as growing:
        done = sum(1 for _ in rows.read(kept, kind))
        left = islice(given, done, None)
        while chunk := list(islice(left, num_concurrent)):
            for row in await gather(engine, [ask(one) for one in chunk]):
                growing.append(row)
            done += len(chunk)
            log.info("%s: %d done", kept.stem, done)


async def _map_window(
    engine: Engine | ShardedEngine,
    given: Iterable[T],
    ask: Callable[[T], Coroutine[None, None, R]],
    kind: type[R],
    kept: Path,
    num_concurrent: int,
) -> None:
    """So many callers share what is left: each takes the next one when it has its answer."""
    failures = list[EngineError]()
    with OrderedWriter(kept, kind) as growing:
        left = ((place, one) for place, one in enumerate(given) if place not in growing)

        async def caller() -> None:
            for place, one in left:
                try:
                    growing.add(place, await ask(one))
                except EngineError as failure:
                    failures.append(failure)
                if failures:
                    return
                if len(growing) % num_concurrent == 0:
                    log.info("%s: %d done", kept.stem, len(growing))

        await gather(engine, [caller() for _ in range(num_concurrent)])
    if failures:
        raise failures[0]


def _leave(stack: ExitStack, _: object) -> None:
    stack.close()
