"""All rows of all sources as columns of numbers, so that a million of them fit in a few hundred megabytes.

Of a row stay its id, its answer and two digests: one of its canonical form, one of its numbers. The forms themselves lie in a nameless
file beside the output and are read again for the few rows that share a digest. Does not know what is done with such rows.
"""

import hashlib
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

from components.curate.canonical import numbers

NO_ANSWER = -(2**63)


class TableRow(NamedTuple):
    """A row of the table as it is compared with others."""

    row: int
    id: str
    answer: int | None
    form: str


class ProblemTable:
    """Rows by number, in the order in which they were added. Close it to give its file back."""

    def __init__(self, folder: Path) -> None:
        self.ids: list[str] = []
        self.sources = array("H")
        """Of each row, the number of the input that it came in by."""
        self._answers, self._numbers, self._begins = array("q"), array("Q"), array("Q", [0])
        self._forms_high, self._forms_low = array("Q"), array("Q")
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, source: int, name: str, answer: int | None, form: str) -> None:
        self.ids.append(name)
        self.sources.append(source)
        self._answers.append(NO_ANSWER if answer is None else answer)
        text = form.encode()
        digest = hashlib.blake2b(text, digest_size=16).digest()  # 128 bits: forms with one digest are taken to be equal
        self._forms_high.append(int.from_bytes(digest[:8]))
        self._forms_low.append(int.from_bytes(digest[8:]))
        self._numbers.append(int.from_bytes(hashlib.blake2b(" ".join(numbers(form)).encode(), digest_size=8).digest()))
        self._file.write(text)
        self._begins.append(self._begins[-1] + len(text))

    def answers(self) -> Any:
        """All answers as a numpy column; NO_ANSWER where there is none."""
        import numpy as np

        return np.array(self._answers, dtype=np.int64)

    def table_rows(self, rows: Sequence[int]) -> list[TableRow]:
        """The rows with their forms."""
        self._file.flush()
        return [TableRow(row, self.ids[row], self._answer(row), self._form(row)) for row in rows]

    def duplicate_id(self) -> tuple[int, int] | None:
        """Two rows with one id, the earlier one first, or None."""
        for earlier, later in pairwise(self._rank().tolist()):
            if self.ids[earlier] == self.ids[later]:
                return earlier, later
        return None

    def same_form(self, alive: Any) -> Iterator[list[int]]:
        """Groups of rows with one canonical form, each in the order of ids; `alive` is a boolean column."""
        return self._groups(alive, self._forms_high, self._forms_low)

    def same_numbers(self, alive: Any) -> Iterator[list[int]]:
        """Groups of rows with the same numbers in them and the same answer, each in the order of ids."""
        return self._groups(alive, self._numbers, self._answers)

    def _groups(self, alive: Any, *columns: Any) -> Iterator[list[int]]:
        import numpy as np

        place: Any = np.empty(len(self), dtype=np.int64)
        place[self._rank()] = np.arange(len(self))
        rows = np.flatnonzero(alive)
        keys = [np.array(column)[rows] for column in columns]
        order = np.lexsort((place[rows], *keys))
        changes: Any = np.zeros(max(len(rows) - 1, 0), dtype=bool)
        for key in keys:
            changes |= key[order][1:] != key[order][:-1]
        edges = np.concatenate(([0], np.flatnonzero(changes) + 1, [len(rows)]))
        for at in np.flatnonzero(np.diff(edges) > 1):
            yield rows[order[edges[at] : edges[at + 1]]].tolist()

    def _rank(self) -> Any:
        """Row numbers in the order of ids; equal ids in the order of rows."""
        import numpy as np

        return np.argsort(np.array(self.ids, dtype=object), kind="stable")

    def _answer(self, row: int) -> int | None:
        answer = self._answers[row]
        return None if answer == NO_ANSWER else answer

    def _form(self, row: int) -> str:
        begin, end = self._begins[row], self._begins[row + 1]
        return os.pread(self._file.fileno(), end - begin, begin).decode()
