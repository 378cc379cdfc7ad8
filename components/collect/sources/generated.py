"""Problems from the generator, in the split classes that the entry names: what an exam draws, training never does."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from components.collect.source import Collect, write_rows
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Problem
from components.lib import arithmetic
from components.lib.answers import Contest, gold

SEEDS = 10_000_000
"""Draw seeds that belong to one seed of params.yaml."""
PATIENCE = 100_000
"""Draws in a row without a new group after which there are no more."""


class Source(Collect):
    """`num_problems` problems, one of each group: another wording of the same numbers is not another problem."""

    use: Literal["train", "exam", "benchmark"]
    seed: int
    num_problems: Annotated[int, Field(ge=1)]
    classes: Annotated[list[Annotated[int, Field(ge=0, le=7)]], Field(min_length=1)]
    """Which of the eight split classes of groups are kept."""

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.check_licence()
        passed = Counter[str]({"other_split_class": 0, "repeats": 0})
        return {**write_rows(out, "problems", Problem, self._problems(contest, passed)), **passed}

    def _problems(self, contest: Contest, passed: Counter[str]) -> Iterator[Problem]:
        seen: set[str] = set()
        last_new = first = self.seed * SEEDS
        for draw_seed in range(first, first + SEEDS):
            drawn = arithmetic.problem(draw_seed)
            if arithmetic.split_class(drawn.group) not in self.classes:
                passed["other_split_class"] += 1
            elif drawn.group in seen:
                passed["repeats"] += 1
            else:
                seen.add(drawn.group)
                last_new = draw_seed
                yield Problem(
                    id=f"generated-{draw_seed}",
                    statement=drawn.statement,
                    answer=gold(drawn.answer, contest),
                    source=self.name,
                    licence=self.licence,
                    group=drawn.group,
                    difficulty=float(drawn.size),
                )
            if len(seen) == self.num_problems:
                return
            if draw_seed - last_new >= PATIENCE:
                break
        raise UserError(
            f"{self.where}: the generator has no more than about {len(seen)} different groups in the classes "
            f"{self.classes} ({self.num_problems} wanted); lower num_problems or add classes"
        )
