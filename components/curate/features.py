"""The row-wise step: from a problem to what the sets are compared by. A pure function of the batch, so that shards may run anywhere.

Which split a group is in is decided by the group's name alone, so that a new row moves no other.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from components.core.types import Problem
from components.curate.canonical import canonical
from components.curate.contamination import BenchmarkIndex, Overlap

NO_OVERLAP = Overlap((), None)


class Features(NamedTuple):
    """A row as the table takes it in."""

    id: str
    answer: int | None
    form: str
    practice: bool
    """Whether its group is held out from training."""
    overlap: Overlap


@dataclass(frozen=True)
class FeatureExtractor:
    """What rows are compared with."""

    index: BenchmarkIndex | None
    """None: the rows are a benchmark's own."""
    share: float
    seed: int

    def __call__(self, batch: list[Problem]) -> list[Features]:
        return [self._one(problem) for problem in batch]

    def _one(self, problem: Problem) -> Features:
        form = canonical(problem.statement)
        overlap = self.index.overlap(form, problem.group) if self.index else NO_OVERLAP
        return Features(problem.id, problem.answer, form, is_practice(problem.group, share=self.share, seed=self.seed), overlap)


def is_practice(group: str, *, share: float, seed: int) -> bool:
    """Whether a group is held out from training; over many groups the `share` of them that are."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8])
    return drawn < share * 2**64
