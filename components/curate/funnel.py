"""Takes rows out of the pool, one step after another, and remembers why."""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from components.core.runner import Metrics
from components.curate.marks import Fate
from components.curate.pool import Pool

log = logging.getLogger(__name__)


class Funnel:
    """`alive` is a boolean column: which rows of the pool are left."""

    def __init__(self, pool: Pool) -> None:
        import numpy as np

        self.alive: Any = np.ones(len(pool), dtype=bool)
        self.fates: dict[int, Fate] = {}
        self._pool = pool

    def leave(self, fates: Iterable[tuple[int, Fate]]) -> None:
        gone = dict(fates)
        num_before = int(self.alive.sum())
        self.fates.update(gone)
        self.alive[list(gone)] = False
        for reason, count in sorted(Counter(fate.reason for fate in gone.values()).items()):
            log.info("%s: %d of %d", reason, count, num_before)

    def metrics(self, names: list[str]) -> Metrics:
        """Rows per source as read, as dropped by reason, and as kept; `names`: of the inputs, by number."""
        read = Counter(self._pool.sources)
        dropped: dict[str, Counter[str]] = {}
        for row, fate in self.fates.items():
            dropped.setdefault(fate.reason, Counter())[names[self._pool.sources[row]]] += 1
        counted = {names[source]: count for source, count in read.items()}
        kept = {source: count - sum(counts[source] for counts in dropped.values()) for source, count in counted.items()}
        return {"read": counted, "dropped": {reason: dict(counts) for reason, counts in dropped.items()}, "kept": kept}
