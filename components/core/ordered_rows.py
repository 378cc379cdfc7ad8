"""A growing file in the order of what was given, though its rows come in another order, and a killed writer loses none.

Rows that come before their turn lie in a file beside it (NAME.ahead.jsonl) with their places, and move over when all before them are
there. Memory: where those rows lie, not the rows. Does not know what the rows mean.
"""

from pathlib import Path
from typing import Generic, TypeVar

from components.core import rows
from components.core.types import Row

R = TypeVar("R", bound=Row)


class RowAhead(Row):
    """A row that came before its turn, as one line of the file beside."""

    place: int
    line: str
    """The row as JSON."""


class OrderedWriter(Generic[R]):
    """Appends rows by their place; the file beside is gone when nothing is missing before any row."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        self._kind, self._beside = kind, path.with_name(f"{path.stem}.ahead.jsonl")
        self._growing, self._ahead = rows.JsonlWriter(path), rows.JsonlWriter(self._beside)
        self._num_rows = sum(1 for _ in rows.read(path, kind))
        self._offsets, at = dict[int, int](), 0
        with self._beside.open("rb") as lines:
            for line in lines:
                self._offsets[RowAhead.model_validate_json(line).place] = at
                at += len(line)
        self._offsets = {place: at for place, at in self._offsets.items() if place >= self._num_rows}
        self._catch_up()

    def __contains__(self, place: int) -> bool:
        return place < self._num_rows or place in self._offsets

    def __len__(self) -> int:
        """Rows that are there, those ahead included."""
        return self._num_rows + len(self._offsets)

    def add(self, place: int, row: R) -> None:
        """Keeps the row of this place, counted from 0."""
        assert place not in self, "a place has one row"
        if place > self._num_rows:
            self._offsets[place] = self._beside.stat().st_size
            self._ahead.append(RowAhead(place=place, line=row.model_dump_json()))
            return
        self._append(row)
        self._catch_up()

    def _append(self, row: R) -> None:
        self._growing.append(row)
        self._num_rows += 1

    def _catch_up(self) -> None:
        while self._num_rows in self._offsets:
            with self._beside.open("rb") as lines:
                lines.seek(self._offsets.pop(self._num_rows))
                ahead = RowAhead.model_validate_json(lines.readline())
            self._append(rows.validated(ahead.line, self._kind, f"{self._beside}, place {ahead.place}"))

    def __enter__(self) -> "OrderedWriter[R]":
        return self

    def __exit__(self, *failed: object) -> None:
        self._growing.__exit__(*failed)
        self._ahead.__exit__(*failed)
        if not self._offsets:
            self._beside.unlink()
