"""Which attempts are drawn from a problem's pool: the same seed gives the same draws, and a longer plan holds what a shorter one holds.

Every attempt gets a random number per draw, and a plan takes the smallest. So recipes with plans of the same size are compared on the very
same attempts, and one of 16 attempts sees the 8 of another among its own. Knows no rules.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.replay.pool import Attempts

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

ANY = "any"
"""Stands in a plan for attempts of whatever prompt."""


def random_keys(attempts: Attempts, draws: int, seed: int) -> "Numbers":
    """float32 [samples, attempts]: a random number for each attempt in its stored order."""
    import numpy as np

    return np.random.default_rng([seed, zlib.crc32(attempts.problem.id.encode())]).random((draws, len(attempts.keys)), np.float32)


def has_enough(attempts: Attempts, plan: Mapping[str, int]) -> bool:
    """Whether the pool holds what the plan takes from this problem."""
    return all((attempts.modes == mode).sum() >= count for mode, count in plan.items() if mode != ANY) and len(attempts.keys) >= sum(
        plan.values()
    )


def sample(attempts: Attempts, plan: Mapping[str, int], numbers: "Numbers", at_most: int | None) -> "Numbers":
    """int64 [samples, planned]: places in order of finishing. `at_most`: of a longer plan only so many are begun."""
    import numpy as np

    mine = numbers[:, attempts.keys]
    rest = np.ones(mine.shape, bool)
    chosen: Numbers = np.zeros(mine.shape, bool)
    for mode, count in sorted(plan.items(), key=lambda entry: entry[0] == ANY):  # prompts by name first, then whoever is left
        fits = rest & ((attempts.modes == mode) | (mode == ANY))
        _take(chosen, np.where(fits, mine, np.inf), count)
        rest &= ~chosen
    planned = sum(plan.values())
    if at_most is not None and at_most < planned:
        fewer: Numbers = np.zeros(mine.shape, bool)
        _take(fewer, np.where(chosen, mine, np.inf), at_most)
        chosen, planned = fewer, at_most
    return np.nonzero(chosen)[1].reshape(len(mine), planned)


def _take(chosen: "Numbers", numbers: "Numbers", count: int) -> None:
    """Marks the `count` smallest of each draw."""
    import numpy as np

    if count < numbers.shape[1]:
        numbers = np.argpartition(numbers, count - 1, axis=1)[:, :count] if count else numbers[:, :0].astype(np.int64)
        np.put_along_axis(chosen, numbers, True, axis=1)
    else:
        chosen |= np.isfinite(numbers)
