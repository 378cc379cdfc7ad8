"""Who waits for a batching engine, and when its clock may go on: a small discrete-event simulation around one batch.

The rule: a batch starts, and each step in which a row finished is followed by the next one, only when every announced caller waits for
the engine (or has left). While a caller runs code, counts answers or cancels others, the engine stands still. So what a batch
holds, at which step a row is cancelled and what `now()` says never depend on how fast anything ran, and equal requests give equal bytes.
A caller that is over by itself waits for its turn too, so that it is not ahead of its neighbours. Callers that ask without announcing
themselves (`announce`) are batched as they come. Knows no model: `run` decodes a batch, in a thread of its own, and calls `deliver` with
each row that finished.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from components.lib.engine.protocol import Completion, EngineError, Sampling

TURNS = 10
"""Turns of the loop without a change before the callers count as settled. A caller's end reaches its successor (done callback, TaskGroup,
semaphore, new task) in about five turns, and none of them waits for anything outside the loop."""
NO_TOKENS = Sampling(0.0, 1.0, 0, 0.0, 0, ())
"""What a caller asks that only waits for its turn."""


@dataclass(eq=False)
class Request:
    """One row: what was asked, and what the batch has made of it so far."""

    key: str
    prompt: Sequence[int]
    sampling: Sampling
    seed: int
    future: asyncio.Future[Completion]
    ids: list[int] = field(default_factory=list)
    """Generated so far. Written by the batch's thread, read by the loop."""
    entropies: list[float] = field(default_factory=list)
    generator: Any = None
    """The row's random generator; it outlives the batch where a row goes on in the next one."""
    asked_during: int = 0
    """The batch during which it asked: who waited longest comes first."""

    @property
    def waits(self) -> bool:
        """False as soon as it is answered or its caller is cancelled, at once and not only when the caller has noticed."""
        return not self.future.done()


class Batcher:
    """Requests in, batches out."""

    def __init__(self, run: Callable[[Sequence[Request]], None], batch_size: int) -> None:
        self._run, self._batch_size = run, batch_size
        self._asked: list[Request] = []
        self._announced = 0
        self._num_batches = 0
        self._closing = False
        self._changed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")

    async def __aenter__(self) -> "Batcher":
        self._loop = asyncio.get_running_loop()
        self._serving = self._loop.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._changed.set()
        await self._loop.run_in_executor(None, self._thread.shutdown)
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving
        for request in self._waiting():
            request.future.set_exception(EngineError(f"the engine was closed before {request.key} was answered"))

    async def in_thread(self, work: Callable[[], Any]) -> Any:
        """Runs `work` in the batches' thread: torch's thread count is a setting of the thread that set it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @contextmanager
    def announce(self) -> Iterator[None]:
        """Announces one caller: no batch starts or goes on while it does something else than wait."""
        self._announced += 1
        try:
            yield
        finally:
            self._announced -= 1
            self._changed.set()

    async def ask(self, request: Request) -> Completion:
        """Waits for the request's completion; cancelling this ends its row at the next step."""
        request.asked_during = self._num_batches
        self._asked.append(request)
        self._changed.set()
        try:
            return await request.future
        finally:
            self._asked.remove(request)

    async def turn(self, key: str) -> None:
        """Waits until all announced callers wait; of several here, the one with the least key goes first."""
        await self.ask(Request(key, (), NO_TOKENS, 0, self._loop.create_future()))

    def deliver(self, finished: Mapping[Request, Completion]) -> bool:
        """Called in the batch's thread: gives completions to their callers, by key, and returns when all have settled; False: stop."""
        if not self._closing:
            asyncio.run_coroutine_threadsafe(self._answer(finished), self._loop).result()
        return not self._closing

    def anyone_waits(self, batch: Sequence[Request]) -> bool:
        """Whether anyone waits who is not in this batch."""
        return len(self._waiting()) > sum(request.waits for request in batch)

    async def _answer(self, finished: Mapping[Request, Completion]) -> None:
        for request in sorted(finished, key=lambda request: request.key):
            if request.waits:
                request.future.set_result(finished[request])
        await self._settle()

    async def _serve(self) -> None:
        while not self._closing:
            await self._settle()
            batch = sorted(self._waiting(), key=lambda request: (request.asked_during, request.key))[: self._batch_size]
            if not batch:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._num_batches += 1
            try:
                await self.in_thread(lambda batch=batch: self._run(batch))  # type: ignore[misc]
            except Exception as error:  # whatever it was, the callers of this batch are the ones to know
                for request in batch:
                    if request.waits:
                        request.future.set_exception(error)

    async def _settle(self) -> None:
        """Returns when every announced caller has waited for TURNS turns of the loop, and none of them for its turn alone."""
        calm = 0
        while calm < TURNS and not self._closing:
            if len(self._waiting()) < self._announced:
                calm = 0
                self._changed.clear()
                await self._changed.wait()
            else:
                calm += 1
                await asyncio.sleep(0)
            if calm == TURNS and self._give_turns():
                calm = 0

    def _give_turns(self) -> bool:
        """Whether anyone got one."""
        turns = sorted((request for request in self._waiting() if request.sampling is NO_TOKENS), key=lambda request: request.key)
        for request in turns:
            request.future.set_result(Completion("", 0, "length", None))
        return bool(turns)

    def _waiting(self) -> list[Request]:
        return [request for request in self._asked if request.waits]
