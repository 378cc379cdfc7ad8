"""The row-wise step: from a problem to what the sets are compared by. A pure function of the batch, so that shards may run anywhere."""

from dataclasses import dataclass
from typing import NamedTuple

from components.core.types import Problem
from components.curate.canonical import canonical
from components.curate.leaks import Index, Look
from components.curate.split import is_practice

NOTHING = Look((), None)


class Compared(NamedTuple):
    """A row as the pool takes it in."""

    id: str
    answer: int | None
    form: str
    practice: bool
    """Whether its group is held out from training."""
    look: Look


@dataclass(frozen=True)
class Compare:
    """What rows are compared with."""

    index: Index | None
    """None: the rows are a benchmark's own."""
    share: float
    seed: int

    def __call__(self, batch: list[Problem]) -> list[Compared]:
        return [self._one(problem) for problem in batch]

    def _one(self, problem: Problem) -> Compared:
        form = canonical(problem.statement)
        look = self.index.look(form, problem.group) if self.index else NOTHING
        return Compared(problem.id, problem.answer, form, is_practice(problem.group, share=self.share, seed=self.seed), look)
