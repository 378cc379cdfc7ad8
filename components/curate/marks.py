"""What is held of a row while the sets are compared: a mark, and the fate of those that are left out."""

from typing import NamedTuple


class Mark(NamedTuple):
    """A row as it is compared."""

    id: str
    source: str
    """The set that it came from; of an exam's or a benchmark's row, the benchmark."""
    group: str
    answer: int | None
    form: str
    """The canonical form of its statement."""


class Fate(NamedTuple):
    """Why a row is left out (or suspected), and the row it collided with."""

    reason: str
    detail: str
    other: str | None
