"""What rows have in common with rows read before: ids, wordings, whole texts. Kept as 8-byte digests, so that a million rows fit."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from components.core import rows
from components.core.types import Problem

MIN_LINE = 20
"""Characters of a line that is taken for a statement's own when it is found in a question."""


def digest(text: str) -> int:
    """Eight bytes of a hash as a number; of a million texts two have one in common once in 37 million times."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def normalised(text: str) -> str:
    """A text without the difference of spacing and case."""
    return " ".join(text.split()).casefold()


class FirstSeen:
    """Says of each text which row had it before."""

    def __init__(self) -> None:
        self._first: dict[int, str] = {}

    def first_id(self, text: str, name: str) -> str:
        """The id of the first row with this text, or "none"; remembers the first."""
        first = self._first.setdefault(digest(text), name)
        return "none" if first is name else first


class SeenIds:
    """Says of each id whether it came before."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def occurrence(self, name: str) -> str:
        """ "again" for the second row of that id and each one after it, else "once"."""
        before = len(self._seen)
        self._seen.add(digest(name))
        return "once" if len(self._seen) > before else "again"


class ProblemSet:
    """A set of problems, to be compared with others: by id, statement and group."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._ids: set[int] = set()
        self._wordings: set[int] = set()
        self._groups: set[int] = set()
        for problem in problems:
            self.add(problem)

    def add(self, problem: Problem) -> None:
        self._ids.add(digest(problem.id))
        self._wordings.add(digest(normalised(problem.statement)))
        self._groups.add(digest(problem.group))

    def shared(self, problem: Problem) -> str:
        """What a problem has in common with the set."""
        if digest(problem.id) in self._ids:
            return "id"
        if digest(normalised(problem.statement)) in self._wordings:
            return "statement"
        return "group" if digest(problem.group) in self._groups else "nothing"


class ExamProblems:
    """The exam's problems, to be looked for in questions that hold a statement among other words."""

    def __init__(self, path: Path) -> None:
        problems = list(rows.read(path, Problem))
        self._ids = {problem.id for problem in problems}
        lines = (max((normalised(line) for line in problem.statement.splitlines()), key=len, default="") for problem in problems)
        self._lines = {digest(line) for line in lines if len(line) >= MIN_LINE}

    def shared(self, problem: str, question: str) -> str:
        """Whether a row is of an exam problem, or its question holds an exam statement's longest line."""
        if problem in self._ids:
            return "id"
        lines = (normalised(line) for line in question.splitlines())
        return "statement" if any(len(line) >= MIN_LINE and digest(line) in self._lines for line in lines) else "nothing"
