"""Takes rows out of the table, one step after another, and remembers why."""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from components.core.runner import Metrics
from components.curate.problem_table import ProblemTable

log = logging.getLogger(__name__)


class DropReason(NamedTuple):
    """Why a row is left out (or suspected), and the row it collided with."""

    reason: str
    detail: str
    other: str | None


class Funnel:
    """`alive` is a boolean column: which rows of the table are left."""

    def __init__(self, table: ProblemTable) -> None:
        import numpy as np

        self.alive: Any = np.ones(len(table), dtype=bool)
        self.drops: dict[int, DropReason] = {}
        self._table = table

    def drop(self, drops: Iterable[tuple[int, DropReason]]) -> None:
        gone = dict(drops)
        num_before = int(self.alive.sum())
        self.drops.update(gone)
        self.alive[list(gone)] = False
        for reason, count in sorted(Counter(drop.reason for drop in gone.values()).items()):
            log.info("%s: %d of %d", reason, count, num_before)

    def metrics(self, names: list[str]) -> Metrics:
        """Rows per source as read, as dropped by reason, and as kept; `names`: of the inputs, by number."""
        read = Counter(self._table.sources)
        dropped: dict[str, Counter[str]] = {}
        for row, drop in self.drops.items():
            dropped.setdefault(drop.reason, Counter())[names[self._table.sources[row]]] += 1
        counted = {names[source]: count for source, count in read.items()}
        kept = {source: count - sum(counts[source] for counts in dropped.values()) for source, count in counted.items()}
        return {"read": counted, "dropped": {reason: dict(counts) for reason, counts in dropped.items()}, "kept": kept}
