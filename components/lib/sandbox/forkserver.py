"""The caller's end of the zygote: starts it clean, sends it orders, hears of stops and deaths, and removes all on leaving.

Where bubblewrap is installed and allowed, the zygote is started inside it: one set of namespaces around all sessions, at no cost per
session. Not covered: what sessions run (local.py).
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

from components.lib.sandbox.cleanup import remove_tree
from components.lib.sandbox.lifecycle import ExitStatus, SessionProcess
from components.lib.sandbox.protocol import SandboxError

ZYGOTE = Path(__file__).with_name("zygote.py")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # sets are printed in the same order in every run
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",  # threads break fork and eat address space
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves 64 MB of the session's address space
}
START_S, LEAVE_S = 120.0, 5.0
TMPFS_MB = 256


class ForkServer:
    """A running zygote."""

    def __init__(self, memory_mb: int, interrupt: bool, layers: tuple[str, ...], warm: bool, longest_frame: int) -> None:
        self.settings = {"memory_mb": memory_mb, "interrupt": interrupt, "layers": layers, "warm": warm}
        self.longest_frame = longest_frame
        self.root = Path(tempfile.gettempdir(), f"sandbox-{secrets.token_hex(8)}")
        """Sessions' folders lie in it. The zygote makes it, because inside bubblewrap only the zygote sees it."""
        self.process: subprocess.Popen[bytes] | None = None
        self.namespaces = False
        self.broken: str | None = None
        self._lives: dict[int, SessionProcess] = {}
        self._count = 0
        self._outbox: deque[tuple[bytes, socket.socket | None]] = deque()

    async def start(self) -> None:
        """Returns when sessions can be forked: a second or two of imports."""
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        prefix = bubblewrap()
        self.namespaces = bool(prefix)
        settings = {"root": str(self.root), **self.settings}
        command = [*prefix, sys.executable, "-P", "-s", str(ZYGOTE), str(theirs.fileno()), json.dumps(settings)]
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        with theirs:
            self.process = subprocess.Popen(
                command, env=ENVIRONMENT, cwd="/", pass_fds=[theirs.fileno()], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=self._words, stderr=self._words,
            )  # fmt: skip
        self._control = ours
        ours.setblocking(False)
        self._loop.add_reader(ours, self._hear)
        try:
            async with asyncio.timeout(START_S):
                await self._ready
        except TimeoutError:
            raise SandboxError(f"the zygote did not start within {START_S:g} s; {self._log()}") from None

    def fork(self, seed: int) -> SessionProcess:
        """A new session process, and its first frame not yet read."""
        self.check()
        ours, theirs = socket.socketpair()
        self._count += 1
        life = self._lives[self._count] = SessionProcess(self._count, ours, self.longest_frame)
        self._outbox.append((json.dumps({"do": "new", "id": life.number, "seed": seed}).encode(), theirs))
        self._flush()
        return life

    def wake(self, life: SessionProcess, limit_s: float) -> None:
        """Lets a session run, and has its clock started. Where the kernel can, it runs at once; the zygote makes sure that it does."""
        if life.handle is not None and not self._outbox:
            with contextlib.suppress(OSError):  # dead, or not allowed here
                signal.pidfd_send_signal(life.handle, signal.SIGCONT)
        self.order("wake", life, limit_s=limit_s)

    def order(self, do: str, life: SessionProcess, **arguments: Any) -> None:
        """Tells the zygote to wake, stop or kill a session; never blocks."""
        self._outbox.append((json.dumps({"do": do, "id": life.number, "with": arguments}).encode(), None))
        self._flush()

    def check(self) -> None:
        if self.broken:
            raise SandboxError(self.broken)

    async def close(self) -> None:
        """Kills all sessions and removes their files; returns when nothing is left."""
        if self.process is None:
            return
        self._outbox.append((json.dumps({"do": "quit"}).encode(), None))
        self._flush()
        self._break("the sandbox is closed")
        try:
            await asyncio.to_thread(self.process.wait, LEAVE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        self._words.close()
        await asyncio.to_thread(remove_tree, self.root)

    def _flush(self) -> None:
        while self._outbox and not self.broken:
            message, passed = self._outbox[0]
            try:
                socket.send_fds(self._control, [message], [passed.fileno()]) if passed else self._control.send(message)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._resume)
                return
            except OSError:
                self._break(f"the zygote is gone; {self._log()}")
                return
            self._outbox.popleft()
            if passed:
                passed.close()

    def _resume(self) -> None:
        self._loop.remove_writer(self._control)
        self._flush()

    def _hear(self) -> None:
        while not self.broken:
            try:
                heard, handles, _, _ = socket.recv_fds(self._control, 1 << 16, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                heard, handles = b"", []
            if not heard:
                self._break(f"the zygote died; {self._log()}")
            else:
                self._take(json.loads(heard), handles)

    def _take(self, message: dict[str, Any], handles: list[int]) -> None:
        if "ready" in message:
            self._ready.set_result(None)
        elif "born" in message:
            (self._lives[message["born"]].handle,) = handles
        elif "dead" in message:
            self._lives.pop(message["dead"]).set_exited(ExitStatus(message["code"], message["why"]))
        elif life := self._lives.get(message["stopped"]):
            life.stopped.set_result(message["interrupted"])

    def _break(self, why: str) -> None:
        if self.broken:
            return
        self.broken = why
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        while self._outbox:
            if passed := self._outbox.popleft()[1]:
                passed.close()
        for life in self._lives.values():
            life.set_exited(ExitStatus(-9, why))
        self._lives.clear()
        if not self._ready.done():
            self._ready.set_exception(SandboxError(why))

    def _log(self) -> str:
        self._words.seek(0)
        if lines := self._words.read().decode(errors="replace").split("\n")[:-1]:
            return f"its last word: {lines[-1]}"
        return f"exit code {self.process.poll() if self.process else None}"


def bubblewrap() -> list[str]:
    """The command that starts another one in namespaces of its own; empty where bubblewrap is absent or not allowed here."""
    if not (found := shutil.which("bwrap")):
        return []
    command = [found, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
    for path in sorted({"/tmp", tempfile.gettempdir()}):
        command += ["--size", str(TMPFS_MB << 20), "--tmpfs", path]
    for path in sorted({os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, ZYGOTE.parent)} | {"/usr", "/lib", "/lib64", "/bin"}):
        command += ["--ro-bind-try", path, path]
    command += ["--chdir", "/"]
    probe = subprocess.run([*command, sys.executable, "-c", ""], env=ENVIRONMENT, capture_output=True, check=False)
    return command if probe.returncode == 0 else []
