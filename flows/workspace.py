"""Where the machinery keeps its own things, and the surroundings it gives to what it starts.

Writes `.aimo/lock` (who holds the workspace) and `.aimo/running/` (process groups of stages, so that the next walk ends what a killed
one left behind). Everything of Prefect lies in `.aimo/prefect`. Does not know stages, graphs or results.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from components.core.errors import UserError

HOME = Path(".aimo")
GRACE_S = 10.0


@contextlib.contextmanager
def workspace_lock(root: Path) -> Iterator[None]:
    """Holds the workspace; raises UserError naming the holder when another run has it. A killed holder's lock frees itself."""
    path = root / HOME / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(f"{path}: process {holder} is running in this workspace; wait for it, or end it with `kill {holder}`") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def stage_environment() -> dict[str, str]:
    """The environment of a stage: our own Python first on PATH, one thread for each of several stages, lines as they come."""
    wanted = {
        "OMP_NUM_THREADS": "1",  # no setting of the machine: a sum over several threads adds up in another order
        "GOMP_SPINCOUNT": "0",  # spinning threads are 10 times slower as soon as two stages share the cores
        "PYTHONUNBUFFERED": "1",
        "TQDM_MININTERVAL": "10",  # a progress bar is a line in a log here
        "DVC_NO_ANALYTICS": "1",
        "PYDANTIC_DISABLE_PLUGINS": "true",  # looking for some reads the metadata of every installed package
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**wanted, **os.environ, "PATH": path}


def prefect_environment(root: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """What Prefect reads when it is imported: its home inside the project, no telemetry, a quiet console. Set values are kept."""
    home = (root / HOME / "prefect").resolve()
    home.mkdir(parents=True, exist_ok=True)  # Prefect makes its folder, but not the one around it
    wanted = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",  # of 20 s by default; 4 minutes were seen at load 15 on two cores
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the walk prints its own lines; Prefect's go to its page
    }
    for name, value in wanted.items():
        environment.setdefault(name, value)


def record_process(root: Path, stage: str, pid: int) -> Path:
    """Notes a running process group; the caller removes the note when the group has ended."""
    note = root / HOME / "running" / f"{stage}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"pid": pid, "born": _born(pid)}), encoding="utf-8")
    return note


def orphaned_processes(root: Path) -> list[tuple[str, int]]:
    """Stage and process group of what was noted and still runs. A pid that now belongs to another process is not among them."""
    found = []
    for note in sorted((root / HOME / "running").glob("*.json")):
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # it just ended, or its walk was killed while noting it
            continue
        if told["born"] is not None and _born(told["pid"]) == told["born"]:
            found.append((note.stem, told["pid"]))
        else:
            note.unlink(missing_ok=True)
    return found


def end(pid: int) -> None:
    """Ends a process group and all descendants, also those in sessions of their own: SIGTERM, after GRACE_S seconds SIGKILL."""
    import psutil

    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    _signal(pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for process in alive:
        _signal(pid, signal.SIGKILL)
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _born(pid: int) -> float | None:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
