"""The guarantees of a sandbox, tried by attack: what a session must not be able to do to the machine around it.

Versions and flags prove nothing (a kernel may have Landlock compiled in and switched off, a container may swallow a filter), so each
guarantee is put to the test by a cell that does its best to break it, against bait of our own: a folder, three sockets of this machine's
loopback, a neighbouring session. The bait, not the cell, says whether it got through. Holds for any Sandbox. Reads and writes nothing else.
"""

import os
import secrets
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from components.lib.sandbox.protocol import SandboxError, Session

Fresh = Callable[[], Awaitable[Session]]
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm")


class Guarantee(NamedTuple):
    """What must hold, the layer that makes it hold, and the cell that tries to break it."""

    name: str
    layer: str
    attack: str


class FailedCheck(NamedTuple):
    """A guarantee that did not hold, and what got through."""

    guarantee: Guarantee
    breaches: list[str]


GUARANTEES = (
    Guarantee(
        "no network",
        "seccomp on socket(), or a network namespace",
        """
import socket
for family, kind, address in ((2, 1, ("127.0.0.1", {tcp})), (2, 2, ("127.0.0.1", {udp})), (1, 2, {folder!r} + "/socket")):
    try:
        s = socket.socket(family, kind); s.settimeout(2); s.connect(address); s.send(b"x")
    except OSError:
        pass
try:
    socket.socketpair(1, 2)[0].sendto(b"x", {folder!r} + "/socket")
except OSError:
    pass
""",
    ),
    Guarantee(
        "the caller's files and environment are out of reach, nothing is writable outside the session's folder",
        "Landlock (and seccomp on metadata), or a mount namespace",
        """
import os
def attempt(action):
    try:
        action()
    except OSError:
        pass
attempt(lambda: print(open({folder!r} + "/canary").read()))
attempt(lambda: print("environment" if open("/proc/{pid}/environ").read() else ""))
attempt(lambda: os.chmod({folder!r} + "/canary", 0o777))
attempt(lambda: os.truncate({folder!r} + "/canary", 0))
for place in ({folder!r}, *{public!r}):
    attempt(lambda: open(place + "/{token}", "w").write("x"))
""",
    ),
    Guarantee(
        "sessions are kept apart",
        "Landlock (files, tracing) and seccomp (signals)",
        """
import os, resource
for name, action in dict(
    files=lambda: open({neighbour!r} + "/mine").read(),
    memory=lambda: open("/proc/{neighbour_pid}/mem", "rb"),
    signals=lambda: os.kill({neighbour_pid}, 0),
    limits=lambda: resource.prlimit({neighbour_pid}, resource.RLIMIT_CORE),
).items():
    try:
        action(); print(name)
    except OSError:
        pass
""",
    ),
    Guarantee(
        "nothing survives a kill",
        "seccomp on fork, clone and execve",
        """
import os, subprocess
try:
    if os.fork() == 0:
        os._exit(0)
    print("fork")
except OSError:
    pass
try:
    subprocess.run(["true"]); print("subprocess")
except OSError:
    pass
""",
    ),
    Guarantee(
        "memory is bounded",
        "RLIMIT_AS (which binds a single process: seccomp on fork must hold too)",
        """
import mmap
try:
    mmap.mmap(-1, {memory_mb} << 20); print("memory")
except (OSError, MemoryError):
    pass
""",
    ),
)
CURES = """cures: (1) a newer kernel: Linux 5.13 or later, `landlock` in its lsm= list, seccomp filters compiled in, x86-64 or aarch64;
(2) a container option: a seccomp profile that lets landlock_* and seccomp(2) through (Docker's own since 23.0), or one that permits user
namespaces, with `bwrap` on PATH; (3) a sandbox on another machine, behind the same protocol.
Or run all the same: `sandbox.allow_weak: true` in params.yaml stamps `weak` on every row."""


class Bait:
    """Things of the caller that a session must not reach: a folder with a canary, and three listening sockets."""

    def __enter__(self) -> Self:
        self._made = tempfile.TemporaryDirectory(prefix="bait-")
        self.folder = Path(self._made.name)
        self.token, self.secret = f"self-check-{secrets.token_hex(8)}", secrets.token_hex(8)
        self.canary = self.folder / "canary"
        self.renew()
        self.tcp, self.udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.tcp.bind(("127.0.0.1", 0))
        self.tcp.listen()
        self.udp.bind(("127.0.0.1", 0))
        self.unix.bind(str(self.folder / "socket"))
        for listener in (self.tcp, self.udp, self.unix):
            listener.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for listener in (self.tcp, self.udp, self.unix):
            listener.close()
        self.renew()
        self._made.cleanup()

    def renew(self) -> None:
        """Makes good what an attack did, so that the next guarantee is judged by itself."""
        self.canary.write_text(self.secret)
        self.canary.chmod(0o600)
        for place in (str(self.folder), *PUBLIC):
            (Path(place) / self.token).unlink(missing_ok=True)

    def words(self) -> dict[str, object]:
        """What the attacks are told."""
        ports = {"tcp": self.tcp.getsockname()[1], "udp": self.udp.getsockname()[1]}
        return {**ports, "folder": str(self.folder), "public": PUBLIC, "pid": os.getpid(), "token": self.token}

    def taken(self) -> list[str]:
        """What got through to it so far."""
        found = [name for name, listener in (("TCP", self.tcp), ("UDP", self.udp), ("a unix socket", self.unix)) if _heard(listener)]
        if self.canary.stat().st_mode & 0o777 != 0o600 or self.canary.read_text() != self.secret:
            found.append("the canary was changed")
        return found + [f"a file in {place}" for place in (str(self.folder), *PUBLIC) if (Path(place) / self.token).exists()]


async def run(fresh: Fresh, memory_mb: int) -> list[FailedCheck]:
    """Tries all guarantees in throw-away sessions that `fresh` opens; returns those that do not hold."""
    neighbour, attacker = await fresh(), await fresh()
    found = []
    try:
        mine = "import os; open('mine', 'w').write('x'); print(os.getcwd().encode().hex(), os.getpid())"
        place, pid = (await _tell(neighbour, mine)).split()
        with Bait() as bait:
            words = {**bait.words(), "neighbour": bytes.fromhex(place).decode(), "neighbour_pid": int(pid), "memory_mb": memory_mb}
            for guarantee in GUARANTEES:
                said = await _tell(attacker, guarantee.attack.format(**words))
                breaches = ["the canary's content" if word == bait.secret else word for word in said.split()] + bait.taken()
                if breaches:
                    found.append(FailedCheck(guarantee, breaches))
                    bait.renew()
    finally:
        await neighbour.close()
        await attacker.close()
    return found


def refusal(found: list[FailedCheck], standing: Iterable[str]) -> str:
    """What the user is told: the guarantee, what got through, the missing layer, the cures."""
    lines = [f"- {one.guarantee.name}: {', '.join(one.breaches)} got through; missing: {one.guarantee.layer}" for one in found]
    return "\n".join(["this machine cannot keep the sandbox's guarantees:", *lines, f"standing layers: {', '.join(standing)}", CURES])


async def _tell(session: Session, code: str) -> str:
    run = await session.run(code)
    if run.status != "ok":
        raise SandboxError(f"a self-check did not finish ({run.status}): {run.output.strip()}")
    return run.output


def _heard(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_STREAM:
            listener.accept()[0].close()
        else:
            listener.recv(16)
    except BlockingIOError:
        return False
    return True
