"""Recipes in a few settings and a small pool of attempts: what tests of the replay share."""

import random
from pathlib import Path
from typing import Any

from components.replay import pool
from components.replay.pool import STRATEGIES, Attempts
from components.replay.recipe import Recipe
from tests.row_fixtures import attempt, problem, votes

PLAIN: dict[str, Any] = {"plan": {"any": 6}, "max_tokens": None, "early_stopping": [], "time_budget": None, "vote": "majority"}
AGREE = {"kind": "agree", "of_first": 5, "equal": 4}
SPEED = {
    "kind": "speed", "exam_s": 300, "start": 1, "begin_at": 1, "every": 1,
    "paces": [[45, 40, 3, 2, []], [70, 60, 5, 3, [[30, 2]]], [None, 90, 6, 4, []]],
}  # fmt: skip
RECIPES: dict[str, dict[str, Any]] = {
    "no stop": PLAIN,
    "agree": {**PLAIN, "early_stopping": [AGREE]},
    "stragglers": {**PLAIN, "early_stopping": [{"kind": "stragglers", "finished": 4}]},
    "weighted, larger wins": {**PLAIN, "early_stopping": [{"kind": "identical", "equal": 2}], "vote": "weighted"},
    "given up": {**PLAIN, "early_stopping": [{"kind": "diverged", "finished": 4, "distinct": 3}, {"kind": "unreachable"}]},
    "entropy": {**PLAIN, "vote": "inverse_entropy"},
    "prompts": {**PLAIN, "plan": {"tir": 2, "cot": 3, "any": 1}},
    "short": {**PLAIN, "max_tokens": 400, "early_stopping": [AGREE]},
    "equal clock": {**PLAIN, "time_budget": {"kind": "equal", "exam_s": 250}, "early_stopping": [{"kind": "count", "answers": 4}]},
    "buffer clock": {**PLAIN, "time_budget": {"kind": "buffer", "exam_s": 300, "base_s": 40, "cap_s": 20}, "early_stopping": [AGREE]},
    "speed clock": {**PLAIN, "time_budget": SPEED},
    "reserve clock": {**PLAIN, "time_budget": {"kind": "reserve", "exam_s": 200, "reserve_s": 30, "low_s": 20, "high_s": 70}},
}
NUMBERS = votes()


def recipe(settings: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(settings)


def small_pool(num_problems: int = 7, num_attempts: int = 10) -> list[Attempts]:
    """Attempts that disagree, abstain, take different times and end at the same moment now and then."""
    rng, found = random.Random(5), []
    for number in range(num_problems):
        name, luck = f"p{number}", rng.random()
        stored = [
            attempt(
                name,
                index,
                rng.choice([None, 7 if rng.random() < luck else 100, 3, 210, 7]),
                mode=("tir", "cot")[index % 2],
                num_tokens=rng.randrange(50, 900),
                seconds=float(rng.randrange(1, 100)),
                entropies=(round(rng.uniform(0.05, 1.0), 3),),
            )
            for index in range(num_attempts)
        ]
        found.append(pool.attempts(problem(name), stored, list(STRATEGIES), NUMBERS, Path("problems")))
    return found
