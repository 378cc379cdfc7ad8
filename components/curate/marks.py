"""What is held of each row while the sets are compared: a mark, and the fate of those that are left out.

Half a million marks fit in a few hundred megabytes; statements themselves are read again when the sets are written.
"""

from typing import NamedTuple


class Mark(NamedTuple):
    """A row as it is compared."""

    id: str
    source: str
    """The input it came in by: generated, files, extracted or exam."""
    group: str
    answer: int | None
    form: str
    """The canonical form of its statement."""


class Fate(NamedTuple):
    """Why a row is left out (or suspected), and the row it collided with."""

    reason: str
    detail: str
    other: str | None
