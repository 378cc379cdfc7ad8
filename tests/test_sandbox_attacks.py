"""Attacks on the sandbox, each really run: against this machine's loopback, our own files and our own processes, and nothing else.

An attack prints BREACH where it got what it wanted. After each one its session must be gone without a trace and a neighbour unhurt.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import sandbox_fixtures

SECRET = "the-answer-is-42"
OK, ERROR, KEPT, LOST, CRASHED = "ok", "error", "timeout-kept", "timeout-lost", "crashed"


class Attack(NamedTuple):
    name: str
    code: str
    ends: tuple[str, ...] = (OK,)
    says: str = ""
    """What the model must be told."""


def refused(action: str, before: str = "import os") -> str:
    """Code for one action that must raise OSError."""
    return f"{before}\ntry:\n    {action}\n    print('BREACH')\nexcept OSError as error:\n    print(type(error).__name__)"


def raw(call: str) -> str:
    """Code for one libc call that must fail."""
    return f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint('BREACH' if {call} >= 0 else 'refused')"


FRAME = "import os, struct\ndef send(b): os.write(3, struct.pack('!I', len(b)) + b)\n"
FORGED = '{"cell": 1, "status": "ok", "output": "BREACH", "tail": "", "dropped": 0}'
NO_END = "while True:\n    pass"
HOOKED = "import os, signal, time\n"
ATTACKS = [
    # time
    Attack("endless loop", NO_END, (KEPT,), "<stopped after 1 s; variables are kept>"),
    Attack("sleep", "import time; time.sleep(100)", (KEPT,)),
    Attack(
        "swallows every exception",
        "while True:\n try:\n  for i in range(10**9): sum(range(1000))\n except BaseException: pass",
        (LOST,),
        "<killed after 1 s; all variables are lost>",
    ),
    Attack("ignores SIGINT", HOOKED + "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + NO_END, (LOST,)),
    Attack("blocks SIGINT", HOOKED + "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n" + NO_END, (LOST,)),
    Attack("own alarm", HOOKED + "signal.signal(14, lambda *a: None); signal.setitimer(0, 0.01, 0.01)\n" + NO_END, (KEPT, LOST)),
    Attack("huge power", "x = 10 ** (10 ** 9)", (LOST, ERROR, KEPT)),
    Attack("repr without end", "class X:\n def __repr__(self):\n  while True: pass\nX()", (KEPT,)),
    Attack("error text without end", "class X(Exception):\n def __str__(self):\n  while True: pass\nraise X", (KEPT,)),
    Attack("sympy that hangs", "from sympy import *\nfactorint(nextprime(10**60) * nextprime(10**61))", (KEPT, LOST)),
    # processes
    Attack("fork bomb", "import os\nfor i in range(300):\n" + "    try:\n        os.fork(); print('BREACH')\n    except OSError: pass"),
    Attack("subprocess", refused("subprocess.Popen(['sleep', '60'], start_new_session=True)", "import subprocess")),
    Attack("os.system", "import os\nprint('BREACH' if os.system('true') == 0 else 'refused')"),
    Attack("posix_spawn", refused("os.posix_spawn('/bin/true', ['true'], {})")),
    Attack("exec", refused("os.execv('/bin/true', ['true'])")),
    Attack("daemon", refused("os.setsid()")),
    Attack("multiprocessing", refused("multiprocessing.Process(target=print).start()", "import multiprocessing")),
    Attack("raw clone", raw("libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 17, 0, 0, 0, 0)")),
    Attack("raw clone3", raw("libc.syscall(435, ctypes.create_string_buffer(88), 88)")),
    Attack("outlives its parent", raw("libc.prctl(1, 0, 0, 0, 0)")),
    Attack("new namespaces", raw("libc.unshare(0x10000000)")),
    Attack(
        "thread bomb",
        "import threading, time\nthreading.stack_size(32768)\ntry:\n for i in range(20000):\n"
        "  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nexcept RuntimeError: pass\n"
        "time.sleep(5)\nprint('BREACH')",
        (CRASHED, KEPT),
    ),
    # memory
    Attack("10 GB at once", "x = bytearray(10 ** 10)", (ERROR,), "MemoryError"),
    Attack("10 GB in pieces", "import numpy\nx = []\nwhile True: x.append(numpy.zeros(10 ** 7))", (ERROR,), "Unable"),
    Attack("zip bomb", "import zlib\nz = zlib.compress(bytes(10**8))\nx = [zlib.decompress(z) for i in range(99)]", (ERROR, KEPT, LOST)),
    Attack("numpy's 10 GB", "import numpy\nx = numpy.zeros(10 ** 10)", (ERROR,), "Unable to allocate"),
    Attack("memfd", refused("os.memfd_create('a')")),
    Attack("memory that outlives it", raw("libc.shmget(0, 1 << 20, 0o1600)")),
    Attack("raises its limits", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1)); print('BREACH')", (ERROR,)),
    # files
    Attack("one large file", refused("f.write(b'0' * (1 << 25)); f.flush()", "f = open('big', 'wb')")),
    Attack("many files", "for i in range(10**6): open(f'f{i}', 'w').close()", (CRASHED,), "too many files"),
    Attack(
        "many large files",
        "import os, time\nfor i in range(50):\n    os.posix_fallocate(os.open(f'f{i}', 66), 0, 1 << 23)\ntime.sleep(5)\nprint('BREACH')",
        (CRASHED,),
        "too many files",
    ),
    Attack("nested folders", "import os\nfor i in range(5000): os.mkdir('d' * 200); os.chdir('d' * 200)", (CRASHED,), "too many files"),
    Attack("closed folders", "import os\nos.mkdir('a'); open('a/x', 'w').close(); os.mkdir('a/b', 0); os.mkdir('c', 0)", (OK, CRASHED)),
    Attack("links out", "import os\nos.symlink('{home}', 'link')\ntry:\n print(open('link/answers').read())\nexcept OSError: 1"),
    Attack("reads /etc/passwd", refused("open('/etc/passwd').read()")),
    Attack("reads the caller's answers", refused("print(open('{home}/answers').read())")),
    Attack("lists the caller's folder", refused("os.listdir('{home}')")),
    Attack("writes to the caller's folder", refused("open('{home}/evil', 'w')")),
    Attack("removes the caller's file", refused("os.unlink('{home}/answers')")),
    Attack("changes its mode", refused("os.chmod('{home}/answers', 0o777)")),
    Attack("changes its owner", refused("os.chown('{home}/answers', 1, 1)")),
    Attack("changes its times", refused("os.utime('{home}/answers', (0, 0))")),
    Attack("truncates it", refused("os.truncate('{home}/answers', 0)")),
    Attack("renames it in", refused("os.rename('{home}/answers', 'mine')")),
    Attack("links it in", refused("os.link('{home}/answers', 'mine')")),
    Attack("writes to public folders", "\n".join(refused(f"open('{place}/evil-x', 'w')") for place in ("/tmp", "/var/tmp", "/dev/shm"))),
    Attack("writes to its libraries", refused("open(os.path.dirname(os.__file__) + '/evil.py', 'w')")),
    Attack("makes a device", refused("os.mknod('null', 0o20666, os.makedev(1, 3))")),
    Attack("watches files", raw("libc.inotify_init()")),
    Attack("opens the project", refused("open('{project}/params.yaml')")),
    # secrets
    Attack("environment", "import os\nprint(dict(os.environ))"),
    Attack("first environment", "try:\n print(open('/proc/self/environ').read())\nexcept OSError: 1"),
    Attack("caller's environment", refused("open('/proc/{pid}/environ').read()")),
    Attack("caller's memory", refused("open('/proc/{pid}/mem', 'rb')")),
    Attack("zygote's memory", refused("open(f'/proc/{os.getppid()}/mem', 'rb')")),
    Attack("any process", "import glob\nprint('BREACH' if glob.glob('/proc/[0-9]*') else 'hidden')"),
    Attack("traces the caller", raw("libc.ptrace(16, {pid}, 0, 0)")),
    Attack("reads by process_vm_readv", raw("libc.process_vm_readv({pid}, 0, 0, 0, 0, 0)")),
    # network
    Attack("TCP to loopback", refused("socket.create_connection(('127.0.0.1', {tcp}), 1)", "import socket")),
    Attack("UDP to loopback", refused("socket.socket(2, 2).sendto(b'x', ('127.0.0.1', {udp}))", "import socket")),
    Attack("listens", refused("socket.socket().bind(('127.0.0.1', 0))", "import socket")),
    Attack("abstract unix socket", refused("socket.socket(1, 1).bind(chr(0) + 'evil')", "import socket")),
    Attack("datagrams through a pair", refused("socket.socketpair(1, 2)[0].sendto(b'x', '{home}/socket')", "import socket")),
    Attack("io_uring", raw("libc.syscall(425, 8, ctypes.create_string_buffer(256))")),
    # others
    Attack("signals the caller", refused("os.kill({pid}, 0)")),
    Attack("signals the zygote", refused("os.kill(os.getppid(), 9)")),
    Attack("signals its group", refused("os.kill(0, 0)")),
    Attack("signals everyone", refused("os.kill(-1, 0)")),
    Attack("signals by fcntl", refused("fcntl.fcntl(0, 8, {pid})", "import fcntl")),
    Attack("signals by ioctl", refused("fcntl.ioctl(0, 0x8901, struct.pack('i', {pid}))", "import fcntl, struct")),
    Attack("limits the caller", refused("resource.prlimit({pid}, resource.RLIMIT_CORE)", "import resource")),
    Attack("slows the caller", refused("os.setpriority(0, {pid}, 19)")),
    Attack("opens its process", refused("os.pidfd_open({pid})")),
    # the line to the caller
    Attack("dies cleanly", "import os; os._exit(0)", (CRASHED,), "<the interpreter died: exit code 0; all variables are lost>"),
    Attack("segmentation fault", "import ctypes; ctypes.string_at(0)", (CRASHED,), "SIGSEGV"),
    Attack("closes the line", "import os; os.close(3)", (CRASHED,)),
    Attack("garbage on the line", "import os; os.write(3, b'\\xff' * 100)", (CRASHED,)),
    Attack("a frame of 2 GB", "import os; os.write(3, b'\\x7f\\xff\\xff\\xff')\nwhile True: os.write(3, b'x' * 10**5)", (CRASHED,)),
    Attack("JSON of brackets", FRAME + "send(b'[' * 5000)", (CRASHED,)),
    Attack("forges a result", FRAME + "send(b'" + FORGED + "')", (CRASHED,)),
    Attack("breaks the JSON library", "import json; json.dumps = lambda *a: 'null'", (CRASHED,)),
    Attack("breaks the builtins", "import builtins; builtins.len = builtins.isinstance = None", (OK, CRASHED)),
    Attack("an error without a text", "class E(Exception):\n def __str__(self): raise SystemExit\nraise E", (ERROR,)),
    # output
    Attack("prints 1 GB", "for i in range(1000): print('x' * 10**6)", (OK,), "<output cut>"),
    Attack("writes beside stdout", "import os\nfor i in range(100): os.write(1, b'BREACH' * 10**5)"),
    Attack("screen codes", "print('\\x00\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07 \\ud800 \\u202e')", (OK,), "red \N{REPLACEMENT CHARACTER}"),
    # the interpreter
    Attack("recursion", "def f(n): return f(n + 1)\nf(0)", (ERROR,), "RecursionError"),
    Attack("recursion without limit", "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", (CRASHED, ERROR, LOST, KEPT)),
    Attack("100,000 brackets", "eval('(' * 10**5 + ')' * 10**5)", (ERROR,)),
    Attack("a list of 10 million", "list(range(10**7))", (OK, ERROR, KEPT, LOST)),
]  # fmt: skip


class Target(NamedTuple):
    """What the attacks aim at: all ours."""

    home: Path
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("caller")
    (home / "answers").write_text(SECRET)
    (home / "answers").chmod(0o600)
    udp, unix = (socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_UNIX))
    with socket.socket() as tcp, udp, unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(home / "socket"))
        for listener in (tcp, udp, unix):
            listener.setblocking(False)
        yield Target(home, tcp, udp, unix)


@pytest.fixture(scope="module")
def box(target: Target) -> Iterator[sandbox_fixtures.Box]:
    os.environ["AIMO_TEST_SECRET"] = SECRET
    with sandbox_fixtures.opened() as box:
        yield box
    del os.environ["AIMO_TEST_SECRET"]


@pytest.fixture(scope="module")
def neighbour(box: sandbox_fixtures.Box) -> Iterator[object]:
    session = box.session()
    box.do(session.run(f"open('mine', 'w').write('{SECRET}'); answer = 42"))
    yield session
    box.do(session.close())


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_stopped(attack: Attack, box: sandbox_fixtures.Box, neighbour: sandbox_fixtures.LocalSession, target: Target) -> None:
    words = {"home": target.home, "pid": os.getpid(), "tcp": target.tcp.getsockname()[1], "udp": target.udp.getsockname()[1]}
    code = attack.code
    for word, value in {**words, "project": Path(__file__).parents[1]}.items():
        code = code.replace(f"{{{word}}}", str(value))
    before = target.home.joinpath("answers").stat()
    run = box.cell(code)
    assert run.status in attack.ends, run.output
    assert "BREACH" not in run.output
    assert SECRET not in run.output
    assert attack.says in run.output
    assert target.home.joinpath("answers").stat() == before
    assert sorted(path.name for path in target.home.iterdir()) == ["answers", "socket"]
    assert [place for place in ("/tmp", "/var/tmp", "/dev/shm") if Path(place, "evil-x").exists()] == []
    for listener in (target.tcp, target.udp, target.unix):
        with pytest.raises(BlockingIOError):
            listener.accept() if listener is target.tcp else listener.recv(1)
    assert len(box.processes()) == 2, "the zygote and the neighbour, no one else"
    assert box.folders() == [f"s{neighbour._life.number}" if neighbour._life else ""]
    assert box.do(neighbour.run("answer")).output == "42\n"


@pytest.mark.parametrize(
    "attempt",
    ["open('{folder}/mine').read()", "os.listdir('{folder}')", "os.listdir('{folder}/..')", "os.kill({pid}, 0)", "os.kill({pid}, 9)",
     "open('/proc/{pid}/mem', 'rb')", "open('/proc/{pid}/fd/3')", "os.readlink('/proc/{pid}/cwd')", "open('{folder}/evil', 'w')"],
)  # fmt: skip
def test_sessions_are_kept_apart(attempt: str, box: sandbox_fixtures.Box, neighbour: sandbox_fixtures.LocalSession) -> None:
    place, pid = box.do(neighbour.run("import os; print(os.getcwd().encode().hex(), os.getpid())")).output.split()
    code = attempt.replace("{folder}", bytes.fromhex(place).decode()).replace("{pid}", pid)
    run = box.cell(refused(code))
    assert run.status == "ok"
    assert "BREACH" not in run.output
    assert box.do(neighbour.run("answer")).output == "42\n"


def test_a_thread_that_never_ends_is_still_between_cells(box: sandbox_fixtures.Box, neighbour: sandbox_fixtures.LocalSession) -> None:
    session = box.session()
    box.do(session.run("import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f, daemon=True).start()"))
    mine = box.processes()
    first = sum(sum(process.cpu_times()[:2]) for process in mine)
    time.sleep(0.3)
    assert sum(sum(process.cpu_times()[:2]) for process in mine) - first <= 0.05
    assert box.do(session.run("1 + 1")).output == "2\n"
    box.do(session.close())


def test_a_frame_sent_ahead_loses_the_session_before_the_next_cell(
    box: sandbox_fixtures.Box, neighbour: sandbox_fixtures.LocalSession
) -> None:
    late = "import os, threading\nx = 1\nthreading.Timer(0.2, lambda: os.write(3, b'ahead')).start()"
    first, second, third = box.cells(late, "import time; time.sleep(0.5)", "x")
    assert (first.status, second.status) == ("ok", "crashed")
    assert third.output.startswith("<new interpreter")
    assert "NameError" in third.output


def test_children_die_with_a_killed_zygote(box: sandbox_fixtures.Box) -> None:
    with sandbox_fixtures.opened(warm=False) as other:
        session = other.session()
        other.do(session.run("1"))
        processes = other.processes()
        assert len(processes) == 2
        os.kill(other.sandbox.server.process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        deadline = time.monotonic() + 5
        while other.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert other.processes() == []
        with pytest.raises(sandbox_fixtures.SandboxError, match="zygote"):
            other.do(session.run("1"))
        with contextlib.suppress(sandbox_fixtures.SandboxError):
            other.do(session.close())
        root = other.sandbox.server.root
    assert not root.exists()


@pytest.mark.parametrize(
    ("without", "guarantees"),
    [("seccomp", ["no network", "survives a kill"]), ("landlock", ["out of reach", "kept apart"]), ("limits", ["memory is bounded"])],
)
def test_a_missing_layer_is_refused_by_name(without: str, guarantees: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no bubblewrap: it would keep some guarantees by itself
    layers = tuple(layer for layer in sandbox_fixtures.LAYERS if layer != without)
    with pytest.raises(sandbox_fixtures.SandboxError) as refusal, sandbox_fixtures.opened(layers, warm=False):
        pass
    for cure in (*guarantees, "missing:", "kernel", "container", "another machine", "allow_weak"):
        assert cure in str(refusal.value)


def test_weak_isolation_is_allowed_only_when_asked_for_and_says_so() -> None:
    with sandbox_fixtures.opened(("limits",), warm=False, allow_weak=True) as box:
        assert box.sandbox.isolation == "weak"
        assert box.cell("1 + 1").output == "2\n"
