"""Problems, their attempts and what models said of these, read side by side: one problem at a time, memory flat.

All files are in the problems' order, as the stages write them; what does not fit that order is an error, never skipped.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from components.core import rows
from components.core.errors import UserError
from components.core.types import Annotation, Candidate, Problem


class OfProblem(Protocol):
    """A row that belongs to a problem."""

    @property
    def problem(self) -> str: ...


R = TypeVar("R", bound=OfProblem)


def read(problems: Path, candidates: Path, *annotations: Path) -> Iterator[tuple[Problem, list[Candidate], list[Annotation]]]:
    """Every problem, also one without attempts, with the annotations of these files one after the other."""
    tried = _Groups(rows.read(candidates, Candidate), candidates)
    said = [_Groups(rows.read(path, Annotation), path) for path in annotations]
    for problem in rows.read(problems, Problem):
        yield problem, tried.of(problem.id), [annotation for file in said for annotation in file.of(problem.id)]
    tried.check_done(problems)
    for file in said:
        file.check_done(problems)


class _Groups(Generic[R]):
    """Rows in the problems' order, handed out problem by problem."""

    def __init__(self, stream: Iterator[R], path: Path) -> None:
        self._groups = itertools.groupby(stream, key=lambda row: row.problem)
        self._path = path
        self._next = next(self._groups, None)

    def of(self, problem: str) -> list[R]:
        if self._next is None or self._next[0] != problem:
            return []
        found = list(self._next[1])
        self._next = next(self._groups, None)
        return found

    def check_done(self, problems: Path) -> None:
        if self._next is not None:
            raise UserError(
                f"{self._path}: problem '{self._next[0]}' is not in {problems}, or the two are not in one order; make the file again"
            )
