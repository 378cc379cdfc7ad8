"""What a stage reads by path, looked at when it is first read and once more at the end.

DVC takes the hashes of dependencies when a stage has ended: of a file that was edited meanwhile, the lock would say that the output was
made from what it was not. The runner watches inputs, parameters and code; whoever reads anything else by path (a prompt, a launch file, a
model that params.yaml names) says so with `watched(path)`. Knows one process: what another one reads, its starter watches.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError

MAX_HASHED_BYTES = 1 << 20
"""Bytes of a file that is compared by content, so that it may be saved as it was. Of a larger one time, size and inode have to do, which
DVC trusts for the same question: models and rows are not hashed twice."""


class _Snapshot(NamedTuple):
    """A file as it was; None where there was none."""

    stat: tuple[int, int, int]
    digest: str | None


_snapshots: dict[Path, dict[Path, _Snapshot]] = {}


def start(paths: Iterable[Path]) -> None:
    """Forgets what was watched, and watches these."""
    _snapshots.clear()
    for path in paths:
        watched(path)


def watched(path: Path) -> Path:
    """The path; from its first time on, what is there (a file, all files of a folder, nothing) must stay as it is."""
    if path not in _snapshots:
        _snapshots[path] = {file: _snapshot(file) for file in list_files(path)}
    return path


def check_unchanged() -> None:
    """Raises UserError naming the first file that is not as it was."""
    for path, before in _snapshots.items():
        now = list_files(path)
        for file in sorted(before.keys() ^ set(now)):
            raise edited_error(file)
        for file, snapshot in before.items():
            if _stat(file) != snapshot.stat and (snapshot.digest is None or _snapshot(file).digest != snapshot.digest):
                raise edited_error(file)


def edited_error(path: Path) -> UserError:
    """The error for whatever was found out."""
    return UserError(f"{path}: was edited while the stage ran; nothing is recorded, run again")


def list_files(path: Path) -> list[Path]:
    """The files of a folder, or the file itself, sorted; hidden ones and compiled code are nobody's input."""
    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        return sorted(file for file in inside if not any(_hidden(part) for part in file.relative_to(path).parts))
    return [path] if path.is_file() else []


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__"


def _snapshot(file: Path) -> _Snapshot:
    stat = _stat(file)
    return _Snapshot(stat, hashlib.sha256(file.read_bytes()).hexdigest() if stat[1] <= MAX_HASHED_BYTES else None)


def _stat(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
