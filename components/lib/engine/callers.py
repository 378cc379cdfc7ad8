"""Several callers of one engine, side by side: all are announced before the first one asks, so that a batch waits for all of them."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from components.lib.engine.protocol import Engine

T = TypeVar("T")


def start(group: asyncio.TaskGroup, engine: Engine, callers: Sequence[Coroutine[None, None, T]]) -> list[asyncio.Task[T]]:
    """Starts each caller as a task of the group; the engine counts it until it ends, however it ends."""
    announced = [ExitStack() for _ in callers]
    for stack in announced:
        stack.enter_context(engine.attempt())
    tasks = [group.create_task(caller) for caller in callers]
    for task, stack in zip(tasks, announced, strict=True):
        task.add_done_callback(partial(_leave, stack))
    return tasks


def _leave(stack: ExitStack, _: object) -> None:
    stack.close()
