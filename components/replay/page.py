"""The page of a replay: one HTML file without any outside address; all names are escaped by the template engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.replay import figures
from components.replay.recipe import Recipe

TEMPLATE = Path(__file__).with_name("page.html")
MINUS, THIN_SPACE = "\u2212", "\u202f"
Numbers = Mapping[str, float]


def html(results: Mapping[str, Any], recipes: Mapping[str, Recipe]) -> str:
    """The whole page."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"percent": _percent, "range": _range, "signed": _signed, "tone": _tone, "num": _num, "rules": _rules}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results, pool=results["pool"], recipes=recipes, cost=Markup(figures.cost(results))
    )


def _rules(recipe: Recipe) -> str:
    """A recipe in one line: plan, budget, stops, clock, vote."""
    plan = recipe.plan if isinstance(recipe.plan, str) else " + ".join(f"{count} {mode}" for mode, count in recipe.plan.items())
    budget = f", at most {recipe.max_tokens} tokens each" if recipe.max_tokens else ""
    stops = "; ".join(_settings(stop.model_dump()) for stop in recipe.early_stopping) or "no stop"
    clock = f"; clock {_settings(recipe.time_budget.model_dump())}" if recipe.time_budget else ""
    return f"{plan}{budget}; {stops}{clock}; {recipe.vote}"


def _settings(dumped: dict[str, Any]) -> str:
    return " ".join([dumped.pop("kind"), *(f"{key}={value}" for key, value in dumped.items())])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}".replace("-", MINUS)


def _range(value: Numbers) -> str:
    return f"{100 * value['low']:.1f}–{100 * value['high']:.1f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", MINUS)


def _tone(value: Numbers) -> str:
    """Whether a difference is more than luck, as a class of the page."""
    return "good" if value["low"] > 0 else "bad" if value["high"] < 0 else ""


def _num(value: float) -> str:
    return f"{value:,.0f}".replace(",", THIN_SPACE) if abs(value) >= 100 else f"{value:.3g}".replace("-", MINUS)
