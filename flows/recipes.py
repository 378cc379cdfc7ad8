"""The list of recipes: rank and score of each original, its rules in a few words, and what differs here.

Reads infra/recipes; writes nothing. The rules are those that `aimo use gpu RECIPE` would write. Knows no rule by its name: a mapping is
told as its kind and its values.
"""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.core import overlays
from components.core.overlays import RecipeInfo

EXAM = "exam-tir"
"""The run that recipes rule."""
WIDTH = 120
MAX_VALUES = 8
"""Values of a list that are told."""


def lines(root: Path) -> Iterator[str]:
    """The list: AIMO-2 first, then the other contests, each by rank."""
    paths = [path for path in overlays.available(root).values() if path.parent == root / overlays.RECIPES]
    for about, path in sorted(((overlays.recipe_info(path), path) for path in paths), key=_order):
        yield f"{path.stem:22} {about.contest}, {_standing(about)}. {about.model}"
        params = overlays.merged(["gpu", path.stem], root).params
        for name, value in rules(params).items():
            yield from _told(f"  {name:6} ", value)
        for difference in about.differs:
            yield from _told("  other  ", difference)
        yield ""
    yield "`aimo use PROFILE RECIPE` writes one into params.yaml; the model is the profile's. other: what of the original is not so here"


def rules(params: Mapping[str, Any]) -> dict[str, str]:
    """Plan, stopping rules, time budget and vote of a params file."""
    exam = {**params["solve"]["common"], **params["solve"][EXAM]}
    vote = params["vote"]
    fallback = "" if vote["fallback"] is None else f", else {vote['fallback']}"
    return {
        "plan": _rule(exam["plan"]),
        "stop": "; ".join(map(_rule, exam["early_stopping"])) or "none",
        "time": _rule(exam["time_budget"]),
        "vote": vote["strategies"][0] + fallback,
    }


def _order(one: tuple[RecipeInfo, Path]) -> tuple[str, int, str]:
    about, path = one
    return "" if about.contest == "AIMO-2" else about.contest, about.rank if about.rank is not None else 999, path.stem


def _standing(about: RecipeInfo) -> str:
    rank = "no rank" if about.rank is None else f"rank {about.rank}"
    return rank if about.private is None else f"{rank}, private {about.private:g}"


def _rule(rule: Mapping[str, Any]) -> str:
    """{kind: agree, of_first: 5, equal: 4} -> agree (of_first 5, equal 4)."""
    values = ", ".join(f"{name} {_value(value)}" for name, value in rule.items() if name != "kind")
    return f"{rule['kind']} ({values})" if values else str(rule["kind"])


def _value(value: Any) -> str:
    if isinstance(value, list):
        value = value if len(value) <= MAX_VALUES else [*value[:2], "...", value[-1]]
        return "[" + " ".join(map(_value, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value).removeprefix("recipes/").replace("None", "-")


def _told(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
