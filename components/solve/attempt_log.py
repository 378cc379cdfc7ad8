"""Finished attempts, each written down when it ends, so that none is made twice: not after a kill, not where more are wanted.

A line holds what came out of an attempt under the digest of what went in: problem, index (the seed belongs to it), prompt, sampling. What
all attempts of a run share (model, engine, limits, code) is in the file's own name or in its folder's. An attempt that the clock, a stop
or the machine cut off has not finished, and is not here. Only on the wall clock: elsewhere who runs beside whom decides the bytes.
Several processes may append at once. Memory: a digest and an offset per line. May be deleted at any time.
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Literal

from components.core.types import CodeRun, Inserted, Row
from components.lib.engine.tokens import Tokens
from components.solve.attempt import ENTROPY_WINDOW, Attempt, AttemptParams, entropy_windows
from components.solve.reply import Reply


class LoggedAttempt(Row):
    """An attempt that ended by itself or at its token budget."""

    key: str
    at_s: float
    """Since its question was opened."""
    text: str
    inserted: tuple[Inserted, ...]
    runs: tuple[CodeRun, ...]
    num_tokens: int
    entropies: tuple[float, ...]
    """Means over windows, as in Candidate."""
    finish_reason: Literal["stop", "length", "repetition"]

    def restore(self, attempt: Attempt) -> None:
        """Makes it what it was when it ended. Nothing goes on from it, so that its text needs no ids."""
        attempt.reply = Reply(Tokens(self.text), self.inserted)
        attempt.runs, attempt.num_tokens, attempt.finish_reason = list(self.runs), self.num_tokens, self.finish_reason
        attempt.entropies = [mean for mean in self.entropies for _ in range(ENTROPY_WINDOW)]


def key(attempt: Attempt, params: AttemptParams) -> str:
    """What goes into an attempt that has not begun, as a digest."""
    given = (
        attempt.problem.id,
        attempt.index,
        attempt.prompt.text,
        attempt.text,
        attempt.inherited,
        params.sampling,
        params.stop_conditions,
    )
    return hashlib.sha256(repr(given).encode()).hexdigest()[:32]


class AttemptLog:
    """The growing file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        self._where = dict[bytes, int]()
        self._lock(fcntl.LOCK_EX)
        at = 0
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):  # what is not whole was being written when its writer was killed
                    self._where.setdefault(bytes.fromhex(LoggedAttempt.model_validate_json(line).key), at)
                    at += len(line)
        os.truncate(self._file.fileno(), at)
        self._lock(fcntl.LOCK_UN)

    def find(self, key: str) -> LoggedAttempt | None:
        """The attempt that these inputs have led to."""
        at = self._where.get(bytes.fromhex(key))
        if at is None:
            return None
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            lines.seek(at)
            return LoggedAttempt.model_validate_json(lines.readline())

    def append(self, key: str, attempt: Attempt, at_s: float) -> None:
        """Writes an attempt down that ended; one that the clock ended has not finished."""
        if attempt.finish_reason not in ("stop", "length", "repetition"):
            return
        row = LoggedAttempt(
            key=key,
            at_s=round(at_s, 3),
            text=attempt.text,
            inserted=attempt.reply.inserted,
            runs=tuple(attempt.runs),
            num_tokens=attempt.num_tokens,
            entropies=entropy_windows(attempt.entropies),
            finish_reason=attempt.finish_reason,
        )
        self._lock(fcntl.LOCK_EX)
        try:
            self._file.write(row.model_dump_json().encode() + b"\n")
        finally:
            self._lock(fcntl.LOCK_UN)

    def __enter__(self) -> "AttemptLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _lock(self, how: int) -> None:
        fcntl.flock(self._file.fileno(), how)
