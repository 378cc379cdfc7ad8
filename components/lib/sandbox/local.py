"""A sandbox on this machine: sessions forked from a warm zygote, behind rlimits, Landlock and seccomp.

Covered: state between cells, time, output, seeds, crashes, cancelling, a bound on live sessions. A cell runs exactly once: where its
session is lost, it is not replayed, and the next cell is told so in its output. Not covered: kernel faults, side channels, fair shares
of the processor. Without namespaces, names and sizes of other files can be seen (stat), and temporary files are bounded by polling.
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Coroutine, Iterable
from typing import Any, Literal, NamedTuple, Self, TypeVar

from pydantic import Field

from components.core.machine import MachineConfig
from components.core.params import Config
from components.core.types import CodeRun
from components.lib.sandbox import cell_output, self_check
from components.lib.sandbox.cpu_timeout import GRACE_S, WALL_PER_CPU
from components.lib.sandbox.forkserver import ForkServer
from components.lib.sandbox.lifecycle import ExitStatus, SessionProcess
from components.lib.sandbox.protocol import PLAIN, Isolation, OutputForm, Sandbox, SandboxError

LAYERS = ("limits", "capabilities", "landlock", "seccomp")
Status = Literal["ok", "error", "timeout-kept", "timeout-lost", "crashed"]
T = TypeVar("T")
CORES = os.cpu_count() or 1
"""A process uses no more processor time than all of them have."""
PATIENCE_S = 120.0
"""How long after a cell's last moment the zygote may stay silent before the sandbox counts as broken."""


class CellLimits(NamedTuple):
    """What one cell may take and show."""

    limit_s: float
    output_chars: int
    form: OutputForm = PLAIN


SELF_CHECK = CellLimits(20.0, 1000)


class SandboxConfig(Config, section="sandbox"):
    """Where model-written code runs."""

    timeout_s: float = Field(gt=0)
    """Processor seconds of one cell; ten times as many by the wall clock, for one that sleeps."""
    interrupt: bool
    """Whether a cell that ran out of time is interrupted and keeps its variables. They tell how far it came, which no two runs
    share; false: it is killed, and the same code gives the same output."""
    memory_mb: int = Field(ge=512)
    """Address space of one session: numpy and sympy alone take a third of the least value."""
    output_chars: int = Field(ge=1)
    """Characters of a cell's output that the model is shown."""
    allow_weak: bool
    """Run even where a guarantee is broken, and say `weak` in every row."""


class SandboxCapacity(MachineConfig, section="sandbox"):
    """How much of this machine it may have."""

    max_sessions: int = Field(ge=1)
    """Live sessions at most; more wait."""


def open_sandbox(config: SandboxConfig, capacity: SandboxCapacity) -> Sandbox:
    """The sandbox of this machine, to be entered: `async with open_sandbox(config, capacity) as box`."""
    return LocalSandbox(config, capacity.max_sessions)


class LocalSandbox:
    """Sessions in processes of this machine."""

    isolation: Isolation = "weak"

    def __init__(self, config: SandboxConfig, sessions: int, layers: Iterable[str] = LAYERS, warm: bool = True) -> None:
        """`layers` and `warm` (numpy and sympy imported ahead) take something away, to see what it was good for."""
        self.config = config
        chars = max(config.output_chars, SELF_CHECK.output_chars)
        self.server = ForkServer(config.memory_mb, config.interrupt, tuple(layers), warm, 24 * cell_output.raw_limit(chars) + 1024)
        self._slots = asyncio.Semaphore(sessions)

    async def __aenter__(self) -> Self:
        try:
            await self.server.start()
            await self._try()
        except BaseException:
            await self.server.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    async def session(self, seed: int, continues: bool = False, form: OutputForm = PLAIN) -> "LocalSession":
        """Waits for a free slot, which `close` gives back."""
        return await self._open(seed, CellLimits(self.config.timeout_s, self.config.output_chars, form), self._slots, continues)

    async def _try(self) -> None:
        slots = asyncio.Semaphore(2)
        found = await self_check.run(lambda: self._open(0, SELF_CHECK, slots), self.config.memory_mb)
        if found and not self.config.allow_weak:
            raise SandboxError(self_check.refusal(found, self.standing))
        self.isolation = "weak" if found else "strong" if self.server.namespaces else "confined"

    async def _open(self, seed: int, bounds: CellLimits, slots: asyncio.Semaphore, continues: bool = False) -> "LocalSession":
        await slots.acquire()
        session = LocalSession(self.server, seed, bounds, slots, continues)
        try:
            await session.begin()
        except BaseException:
            await session.close()
            raise
        self.standing = session.standing
        return session


class LocalSession:
    """One candidate's interpreter, and its successors where it is lost."""

    def __init__(self, server: ForkServer, seed: int, bounds: CellLimits, slots: asyncio.Semaphore, continues: bool) -> None:
        self._server, self._seed, self._slots = server, seed, slots
        self._note = cell_output.FRESH if continues else ""
        self._limit_s, self._chars, self._form = bounds
        self._patience_s = WALL_PER_CPU * (self._limit_s + GRACE_S) + PATIENCE_S
        self._life: SessionProcess | None = None
        self._closed = False

    async def begin(self) -> SessionProcess:
        """Forks the process behind this session; raises SandboxError where it does not come up."""
        life = self._life = self._server.fork(self._seed)
        ready = await self._patiently(life.frame())
        if ready is None or "ready" not in ready:
            why = ready.get("failed") if ready else (await self._end(life)).why
            self._server.check()
            raise SandboxError(f"a session did not start: {why or 'it died'}")
        self.standing = tuple(ready["ready"])
        return life

    async def run(self, code: str) -> CodeRun:
        """One cell, run once. Cancelling kills the session."""
        if self._closed:
            raise SandboxError("the session is closed")
        code = code.encode("utf-8", "replace").decode("utf-8")
        note, self._note = self._note, ""
        try:
            life = self._life
            if life is None or not life.quiet():
                await self._lose()
                life = await self.begin()
                note = cell_output.FRESH
            status, output = await self._cell(life, code)
        except BaseException:
            await self._lose(wait=False)
            raise
        return CodeRun(code=code, output=note + output, status=status)

    async def close(self) -> None:
        """Kills the process, and returns when it and its files are gone."""
        if not self._closed:
            self._closed = True
            try:
                await self._lose()
            finally:
                self._slots.release()

    async def _cell(self, life: SessionProcess, code: str) -> tuple[Status, str]:
        number, room = secrets.randbits(62), cell_output.raw_limit(self._chars)  # a number that no earlier cell could foresee
        tail_room = room if self._form.tail else 0
        cell = {"cell": number, "code": code, "room": room, "tail_room": tail_room, "traceback": self._form.traceback}
        began = time.monotonic()
        try:
            answer = await self._patiently(life.ask(cell, lambda: self._server.wake(life, self._limit_s)))
        except OSError:
            answer = None
        if answer is None or not _well_formed(answer, number, room, tail_room):
            death = await self._end(life)
            self._server.check()
            return (
                ("timeout-lost", cell_output.lost(self._limit_s))
                if death.why == "timeout"
                else ("crashed", cell_output.crashed(_cause(death)))
            )
        interrupted = await self._stop(life, 2 * CORES * (time.monotonic() - began) >= self._limit_s)
        output = self._shown(answer, f"{self._server.root}/s{life.number}")
        if interrupted:
            return "timeout-kept", cell_output.kept(output, self._limit_s)
        return answer["status"], output

    def _shown(self, answer: dict[str, Any], folder: str) -> str:
        raw, tail, dropped = answer["output"], answer["tail"], answer["dropped"]
        if self._form.tail:
            return cell_output.head_and_tail(raw, tail, dropped, self._chars, folder)
        return cell_output.head(raw, dropped > 0, self._chars, folder)

    async def _stop(self, life: SessionProcess, late: bool) -> bool:
        """Whether the cell that is to be stopped was interrupted. One that is not `late` has used less than half of its time: nobody
        interrupted it, nor will before the zygote hears of the stop, and its next cell need not wait for that."""
        life.stopped = asyncio.get_running_loop().create_future()
        self._server.order("stop", life, tell=late)
        if not late:
            return False
        await self._patiently(asyncio.wait((life.stopped, life.died), return_when=asyncio.FIRST_COMPLETED))
        return life.stopped.done() and life.stopped.result()

    async def _lose(self, wait: bool = True) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        if wait:
            await self._end(life)
        else:
            self._server.order("kill", life)
        life.close()

    async def _end(self, life: SessionProcess) -> ExitStatus:
        self._server.order("kill", life)
        await self._patiently(asyncio.wait((life.died,)))
        life.close()
        return life.died.result()

    async def _patiently(self, awaited: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._patience_s):
                return await awaited
        except TimeoutError:
            raise SandboxError(f"the zygote has not answered for {self._patience_s:g} s") from None


def _well_formed(answer: dict[str, Any], number: int, room: int, tail_room: int) -> bool:
    return (
        set(answer) == {"cell", "status", "output", "tail", "dropped"}
        and answer["cell"] == number
        and answer["status"] in ("ok", "error")
        and isinstance(answer["output"], str)
        and len(answer["output"]) <= room
        and isinstance(answer["tail"], str)
        and len(answer["tail"]) <= tail_room
        and type(answer["dropped"]) is int
        and 0 <= answer["dropped"] < 1 << 63
    )


def _cause(death: ExitStatus) -> str:
    if death.why:
        return death.why
    return f"exit code {death.code}" if death.code >= 0 else signal.Signals(-death.code).name
