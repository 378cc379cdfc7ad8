"""The process that sessions are forked from: `python -P -s zygote.py <control descriptor> <settings as JSON>`.

Started in a clean environment, it imports and warms the libraries of mathematical code once, then forks one process per session and
keeps their clocks: SIGINT at the limit, where that is asked for, SIGKILL after a grace, SIGSTOP between cells, SIGKILL for too many
files or threads. It is the only one who judges time, so a caller that is busy for a while neither lengthens a cell nor mistakes a
finished one for a late one.

Reads orders from the control socket (SOCK_SEQPACKET, one JSON object each): new (with the session's socket), wake, stop, kill, quit.
Writes to it: ready, born (with a descriptor of the session's process), stopped, dead. The caller's end of it closed means: kill all,
remove all, exit. Standard library only (and the preloads); does not know what cells say.
"""

import contextlib
import ctypes
import dataclasses
import gc
import json
import os
import platform
import resource
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parent)
sys.path.insert(0, HERE)
import cells  # noqa: E402
import huge_pages  # noqa: E402
import isolation  # noqa: E402
import seccomp  # noqa: E402
from cleanup import remove_tree  # noqa: E402
from cpu_timeout import GRACE_S, CpuTimeout  # noqa: E402
from resource_limits import exceeded  # noqa: E402

sys.path.remove(HERE)

PRELOADS = (
    *("numpy", "numpy.linalg", "numpy.random", "sympy", "sympy.core.random", "mpmath"),  # numpy.random is lazy: 50 ms per session else
    *("collections", "decimal", "fractions", "functools", "heapq", "itertools", "math", "statistics"),
)
WARM_UP = """
from sympy import *
x, y = symbols("x y"); n = symbols("n", integer=True, positive=True)
solve([x + y - 3, x*y - 2], [x, y]); factor(x**4 - 1); expand((x + y)**5); simplify(sin(x)**2 + cos(x)**2); diff(x**3*exp(x), x)
integrate(x**2*cos(x), x); limit(sin(x)/x, x, 0); summation(n**2, (n, 1, 10)); Poly(x**3 - 2*x + 1, x).all_roots(); nsolve(x**2 - 2, x, 1)
factorint(2**31 - 2); divisors(360); isprime(10**9 + 7); totient(1000); list(primerange(50)); binomial(20, 10); gcd(84, 36)
Matrix([[1, 2], [3, 4]]).det(); Matrix([[2, 1], [1, 3]]).eigenvals(); sqrtdenest(sqrt(8 + 2*sqrt(15))); N(pi, 30)
Rational(3, 4) + S(1)/3; str(x**2/y)
"""
WATCH_S = 0.1
"""How often a running session's files and threads are counted."""


@dataclasses.dataclass
class Session:
    """One forked session."""

    id: int
    pid: int
    folder: Path
    clock: CpuTimeout | None = None
    """Of the cell that runs."""
    look_at: float = 0.0
    """When its files and threads are counted next, while a cell runs."""
    interrupted: bool = False
    why: str = ""


class Zygote:
    """The loop: orders, deaths, clocks."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control, self.settings = control, settings
        self.readable = isolation.libraries()
        Path(settings["root"]).mkdir(0o700)
        self.live: dict[int, Session] = {}
        self.children, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        ignore_stopped_children()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        self.say(ready=os.getpid())
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.children], [], [], self.pause())
            if self.children in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.children, 4096)
                self.reap()
            if self.control.fileno() in ready and not self.handle_order():
                return self.end()
            self.watch()

    def say(self, **message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the caller is gone: the next read says so
            self.control.send(json.dumps(message).encode())

    def handle_order(self) -> bool:
        """One order; False where there will be no more."""
        try:
            order, descriptors, _, _ = socket.recv_fds(self.control, 4096, 1)
        except ConnectionResetError:
            return False
        if not order:
            return False
        message = json.loads(order)
        if message["do"] == "new":
            self.fork(message["id"], message["seed"], socket.socket(fileno=descriptors[0]))
        elif message["do"] == "quit":
            return False
        elif session := self.live.get(message["id"]):
            orders: dict[str, Callable[..., None]] = {"wake": self.wake, "stop": self.stop, "kill": self.kill}
            orders[message["do"]](session, **message["with"])
        return True

    def fork(self, number: int, seed: int, sock: socket.socket) -> None:
        folder = Path(self.settings["root"], f"s{number}")
        try:
            folder.mkdir(0o700)
            pid = os.fork()
        except OSError as error:
            sock.close()
            remove_tree(folder)
            self.say(dead=number, code=-1, why=f"no new session: {error}")
            return
        if pid == 0:
            self.run_session(folder, seed, sock)
        sock.close()
        self.live[number] = Session(number, pid, folder)
        with contextlib.suppress(OSError):  # a kernel without such descriptors, or the caller is gone
            handle = os.pidfd_open(pid)
            socket.send_fds(self.control, [json.dumps({"born": number}).encode()], [handle])
            os.close(handle)

    def run_session(self, folder: Path, seed: int, sock: socket.socket) -> None:
        """The child: from here on a session. Never returns."""
        code = 70
        try:
            os.setsid()
            isolation.libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: dies with the zygote
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            kept = keep_only_descriptor(sock)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(HOME=str(folder), TMPDIR=str(folder), PATH="/usr/bin:/bin", OMP_NUM_THREADS="1")
            tempfile.tempdir = str(folder)
            standing = isolation.confine(str(folder), self.readable, self.settings["memory_mb"], self.settings["layers"])
            cells.serve(kept, seed, standing)
        except (EOFError, ConnectionError):
            code = 0
        except BaseException as error:
            with contextlib.suppress(BaseException):
                kept.sendall(cells.wire.pack({"failed": cells.describe(error)}))
        finally:
            os._exit(code)

    def wake(self, session: Session, limit_s: float) -> None:
        session.interrupted, session.look_at = False, 0.0
        with contextlib.suppress(OSError):  # dead and not yet reaped
            session.clock = CpuTimeout(session.pid, limit_s)
            os.kill(session.pid, signal.SIGCONT)

    def stop(self, session: Session, tell: bool) -> None:
        os.kill(session.pid, signal.SIGSTOP)
        session.clock = None
        if tell:
            self.say(stopped=session.id, interrupted=session.interrupted)

    def kill(self, session: Session, why: str = "") -> None:
        session.why = session.why or why
        for kill in (os.killpg, os.kill):  # the group first: without seccomp there may be one
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(session.pid, signal.SIGKILL)

    def reap(self) -> None:
        """The dead: looked at first, so that their process id still names their group while it is killed."""
        by_pid = {session.pid: session for session in self.live.values()}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if session := by_pid.get(found.si_pid):
                self.kill(session)
                remove_tree(session.folder)
                del self.live[session.id]
            _, status = os.waitpid(found.si_pid, 0)
            if session:
                self.say(dead=session.id, code=os.waitstatus_to_exitcode(status), why=session.why)

    def pause(self) -> float | None:
        """How long to wait for orders: not at all longer than a running session may go unwatched."""
        now, running = time.monotonic(), [(session, session.clock) for session in self.live.values() if session.clock]
        with contextlib.suppress(OSError):
            return max(0.0, min(min(clock.left(), session.look_at - now) for session, clock in running)) if running else None
        return 0.0

    def watch(self) -> None:
        for session in self.live.values():
            with contextlib.suppress(OSError):  # dead: to be reaped
                if session.clock:
                    self.enforce_limits(session, session.clock)

    def enforce_limits(self, session: Session, clock: CpuTimeout) -> None:
        if clock.left() > 0:
            if (now := time.monotonic()) >= session.look_at:
                session.look_at = now + WATCH_S
                if excess := exceeded(session.pid, session.folder):
                    self.kill(session, excess)
        elif session.interrupted or not self.settings["interrupt"]:
            self.kill(session, "timeout")
        else:
            os.kill(session.pid, signal.SIGINT)
            session.interrupted = True
            clock.set(GRACE_S)

    def end(self) -> None:
        for session in self.live.values():
            self.kill(session)
        for session in list(self.live.values()):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(session.pid, 0)
            remove_tree(session.folder)
        remove_tree(Path(self.settings["root"]))


def keep_only_descriptor(sock: socket.socket) -> socket.socket:
    """Closes all descriptors but this socket, which becomes number 3; 0, 1 and 2 lead nowhere."""
    nowhere = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    if sock.fileno() != 3:
        os.dup2(sock.fileno(), 3)
        sock.detach()
        sock = socket.socket(fileno=3)
    os.closerange(4, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16))
    return sock


class Action(ctypes.Structure):
    """struct sigaction, as the C library has it."""

    _fields_ = (("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int), ("restorer", ctypes.c_void_p))


def ignore_stopped_children() -> None:
    """SIGCHLD for deaths, not for each stop and each continuation of a session: two wake-ups less per cell."""
    action, no_child_stop = Action(), 1
    isolation.libc.sigaction(signal.SIGCHLD, None, ctypes.byref(action))
    action.flags |= no_child_stop
    isolation.libc.sigaction(signal.SIGCHLD, ctypes.byref(action), None)


def preload() -> None:
    for name in PRELOADS:
        __import__(name)
    exec(WARM_UP, {})
    symbols = sys.modules["sympy"].core.symbol
    symbols.Dummy._base_dummy_index = 10**6  # drawn at random on import: order of terms would differ from run to run
    with contextlib.suppress(KeyError):  # a machine without a table: the self-check will say so
        seccomp.refusals(platform.machine())
    gc.collect()
    gc.freeze()
    huge_pages.collapse()


if __name__ == "__main__":
    settings = json.loads(sys.argv[2])
    if settings["warm"]:
        preload()
    Zygote(socket.socket(fileno=int(sys.argv[1])), settings).serve()
