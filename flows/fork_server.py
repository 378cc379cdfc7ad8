"""A fork server with DVC imported: a stage is brought up to date by a fork of it, which costs milliseconds where DVC's start costs seconds.

The walk's end is `ForkServer`; the other end is this module as a process of its own (`python -m flows.fork_server FD`), because one with
threads, as Prefect's, must not be forked. It imports DVC and opens nothing, so that every fork starts as `python -m dvc` does: a session
of its own, the walk's environment of that moment, no lock, cache or database of another stage. When the walk goes, killed or not, its
socket closes: the server ends what still runs, and itself. Knows DVC's command line; does not know the graph.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from flows.graph import parse_once
from flows.workspace import end, stage_environment

PRELOAD = (
    *("configobj", "dulwich.worktree", "dvc._debug", "dvc.cachemgr", "dvc.data_cloud", "dvc.dirs", "dvc.fs", "dvc.lock"),
    *("dvc.parsing.interpolate", "dvc.repo.artifacts", "dvc.repo.commit", "dvc.repo.datasets", "dvc.repo.metrics"),
    *("dvc.repo.open_repo", "dvc.repo.params", "dvc.repo.plots", "dvc.repo.reproduce", "dvc.repo.scm_context", "dvc.repo.stage"),
    *("dvc.rwlock", "dvc.scm", "dvc.stage.cache", "dvc.stage.run", "dvc.utils.strictyaml", "dvc_data.hashfile.db.local"),
    *("dvc_data.hashfile.status", "dvc_render", "flatten_dict", "fsspec.implementations.local", "fsspec.implementations.memory"),
    *("psutil", "pyparsing", "ruamel.yaml", "scmrepo.git"),
)
"""What `dvc repro` imports, mostly late. Importing it opens no repository; what is missing here is imported by each stage anew."""


class ForkedStage:
    """A stage of its own session, seen from the walk: it waits for its request, then writes `output`, then has ended."""

    def __init__(self, link: socket.socket, out: int) -> None:
        self._link = link.makefile("rw", encoding="utf-8")
        self.output = os.fdopen(out, encoding="utf-8", errors="replace")
        self.pid = int(self._link.readline() or _server_ended())

    def start(self, root: Path, stage: str) -> None:
        """From here on the stage runs."""
        request = _Request(str(root.resolve()), stage_environment(), ["--wait-for-lock", "repro", "--single-item", stage])
        self._link.write(json.dumps(request) + "\n")
        self._link.flush()

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        return int(self._link.readline() or _server_ended())


class ForkServer:
    """Starts with the first `with` and ends with it."""

    def __enter__(self) -> "ForkServer":
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            fds = [theirs.fileno()]
            self._process = subprocess.Popen(
                command, env=stage_environment(), stdin=subprocess.DEVNULL, pass_fds=fds, start_new_session=True
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._control.close()
        self._process.wait()

    @contextlib.contextmanager
    def fork(self) -> Iterator[ForkedStage]:
        """A process that waits for its request; without one it ends."""
        ours, theirs = socket.socketpair()
        out, into = os.pipe()
        with ours:
            try:
                socket.send_fds(self._control, [b"fork"], [theirs.fileno(), into])
            finally:
                theirs.close()
                os.close(into)
            forked = ForkedStage(ours, out)
            with forked.output:
                yield forked


class _Request(NamedTuple):
    root: str
    environment: dict[str, str]
    words: list[str]


def _server_ended() -> int:
    raise RuntimeError("the fork server has ended")


# ---- the server's process -----------------------------------------------------------------------------------------------


def main(descriptor: int) -> int:
    """Forks until the walk closes its end of the socket; returns in each fork what DVC's command line returned."""
    from dvc.cli.parser import get_main_parser

    get_main_parser()  # DVC keeps it
    for module in PRELOAD:
        importlib.import_module(module)
    assert threading.active_count() == 1, "a fork would find its locks as another thread held them"
    gc.freeze()  # a collection in a fork would copy all of the parent's pages
    running: dict[int, socket.socket] = {}

    def reap(*_: Any) -> None:
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with running.pop(ended[0]) as link, contextlib.suppress(BrokenPipeError):
                link.send(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())

    with socket.socket(fileno=descriptor) as control:
        signal.signal(signal.SIGCHLD, reap)
        while (received := socket.recv_fds(control, 16, 2))[0]:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # nobody ends before it is noted
            link, into = socket.socket(fileno=received[1][0]), received[1][1]
            if not (pid := os.fork()):
                for other in (control, *running.values()):
                    other.close()
                break
            running[pid] = link
            os.close(into)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        else:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for pid in running:
                end(pid)
            return 0
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    return _stage(link, into)


def _stage(link: socket.socket, into: int) -> int:
    """In the fork: what `python -m dvc` would do, in its own session, its lines going to `into`."""
    os.setsid()  # SIGTERM to dvc alone would leave the stage's command running
    os.dup2(into, 1)
    os.dup2(into, 2)
    os.close(into)
    with link, link.makefile("r", encoding="utf-8") as requests:
        link.send(f"{os.getpid()}\n".encode())
        line = requests.readline()
    if not line:  # the walk was killed before it could note us
        return 0
    request = _Request(*json.loads(line))
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.root)
    from dvc.cli import main as dvc

    parse_once()
    code: int = dvc(request.words)
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
