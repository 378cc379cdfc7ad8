"""Recipes as they would be written into params.yaml: what their tests share."""

from functools import cache
from pathlib import Path
from typing import Any

from components.core import overlays
from components.lib.answers import Contest
from components.lib.votes.numbers import Votes
from components.solve.sitting import Solve
from flows.recipes import EXAM

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.stem for path in (ROOT / overlays.RECIPES).glob("*.yaml"))


@cache
def params(*names: str) -> dict[str, Any]:
    """All of params.yaml after `aimo use NAMES`; nobody changes it."""
    return overlays.laid(names, ROOT)


def exam(recipe: str, profile: str = "14b", **over: object) -> Solve:
    """The sitting that the recipe rules, with the original's numbers unless the profile is a small one."""
    return Solve.model_validate({**params(profile, recipe)["solve"]["common"], **params(profile, recipe)["solve"][EXAM], **over})


def votes(recipe: str) -> Votes:
    return Votes.model_validate(params("14b", recipe)["vote"])


def contest(recipe: str) -> Contest:
    return Contest.model_validate(params("14b", recipe)["contest"])
