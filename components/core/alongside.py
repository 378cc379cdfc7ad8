"""Rows about problems, read beside the problems themselves: one problem at a time, memory flat.

Such files are in the problems' order, as the stages write them; what does not fit that order is an error, never skipped.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from components.core.errors import UserError


class OfProblem(Protocol):
    """A row that belongs to a problem."""

    @property
    def problem(self) -> str: ...


R = TypeVar("R", bound=OfProblem)


class Alongside(Generic[R]):
    """Rows in the problems' order, handed out problem by problem."""

    def __init__(self, stream: Iterator[R], path: Path) -> None:
        self._groups = itertools.groupby(stream, key=lambda row: row.problem)
        self._path = path
        self._next = next(self._groups, None)

    def of(self, problem: str) -> list[R]:
        """The rows of the next problem; none where the file has none of it."""
        if self._next is None or self._next[0] != problem:
            return []
        found = list(self._next[1])
        self._next = next(self._groups, None)
        return found

    def check_done(self, problems: Path) -> None:
        """Raises UserError where rows are left over once all problems were asked for."""
        if self._next is not None:
            raise UserError(
                f"{self._path}: problem '{self._next[0]}' is not in {problems}, or the two are not in one order; make the file again"
            )
