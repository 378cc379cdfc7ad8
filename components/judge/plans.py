"""Which candidates a judgement shows.

Repeated judgements: clusters by answer, each shown at least once, the rest in proportion to a share of theirs (NVIDIA's rule, nemo_skills
commit 4f3782f3, genselect_preprocess.py): the expected number of places, rounded up or down by chance. A knockout: all candidates, dealt
into windows of about equal size. Asks no engine; a problem whose candidates have one answer is drawn nothing for.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from components.core.params import Settings
from components.core.types import Candidate
from components.lib.answer_groups import group_by_answer

SamplingStrategy = Literal["linear", "sqrt", "bayesian"]
STRATEGY_WEIGHTS: dict[SamplingStrategy, Callable[[int], float]] = {"linear": float, "sqrt": math.sqrt, "bayesian": lambda size: size + 1.0}
"""How much of the places a cluster of a size is due. The 1 that `bayesian` adds is the source's constant."""


class Window(NamedTuple):
    """What one judgement shows."""

    seed: int
    """Of this draw, and of what the judgement does by chance."""
    candidates: list[Candidate]
    """In the order of the prompt."""


class Round(NamedTuple):
    """One round on one problem."""

    windows: list[Window]
    byes: list[Candidate]
    """Who goes on unread: alone in a window, or before others with the same answer."""


class Repeated(Settings):
    """The paper's version: independent judgements, each with a draw of its own."""

    kind: Literal["repeated"]
    num_judgements: int = Field(ge=1)
    """Per problem (the paper: 64; its figure 2: 8)."""
    max_shown: int = Field(ge=2)
    """Candidates in one prompt (the paper: at most 16)."""
    sampling_strategy: SamplingStrategy

    def draw(self, pool: Sequence[Candidate], round: int, seed: str) -> Round:
        groups = list(group_by_answer(pool).values())
        if round or len(groups) < 2:
            return Round([], [])
        seeds = [_seed(f"{seed}/{number}") for number in range(self.num_judgements)]
        return Round([Window(one, sample_candidates(groups, self.max_shown, self.sampling_strategy, one)) for one in seeds], [])


class Knockout(Settings):
    """nemo_skills' later version (parallel_thinking.py, window 8): whoever is chosen in a window goes on, until one answer is left."""

    kind: Literal["knockout"]
    window: int = Field(ge=2)

    def draw(self, pool: Sequence[Candidate], round: int, seed: str) -> Round:
        if len(group_by_answer(pool)) < 2:
            return Round([], [])
        dealt = list(pool)
        random.Random(f"{seed}/round {round}").shuffle(dealt)
        tables = math.ceil(len(dealt) / self.window)
        windows = [dealt[table::tables] for table in range(tables)]
        contested = [
            Window(_seed(f"{seed}/{round}/{table}"), window) for table, window in enumerate(windows) if len(group_by_answer(window)) > 1
        ]
        return Round(contested, [window[0] for window in windows if len(group_by_answer(window)) == 1])


Plan = Annotated[Repeated | Knockout, Field(discriminator="kind")]


def _seed(text: str) -> int:
    return random.Random(text).getrandbits(62)


def sample_candidates(
    groups: Sequence[Sequence[Candidate]], max_shown: int, sampling_strategy: SamplingStrategy, seed: int
) -> list[Candidate]:
    """At most `max_shown` candidates in the order of the prompt; with more clusters than places the largest ones are shown."""
    chance = random.Random(seed)
    groups = groups[:max_shown]
    places = min(max_shown, sum(map(len, groups)))
    due = [STRATEGY_WEIGHTS[sampling_strategy](len(group)) for group in groups]
    shown = []
    for group, part in zip(groups, due, strict=True):
        expected = part * places / sum(due)
        count = int(expected) + (chance.random() < expected - int(expected))
        shown += chance.sample(list(group), min(len(group), max(1, count)))
    while len(shown) > max_shown:  # rounding gave too many: take from a cluster that is shown more than once
        answers = [candidate.answer for candidate in shown]
        shown.remove(next(candidate for candidate in reversed(shown) if answers.count(candidate.answer) > 1))
    chance.shuffle(shown)
    return shown
