"""The page: one HTML file without any outside address; all text that a model or a source wrote is escaped by the template engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.lib import tool_syntax
from components.report import figures
from components.report.measures import Exams

TEMPLATE = Path(__file__).with_name("page.html")


def html(
    results: Mapping[str, Any], exams: Exams, problems_shown: int, stages: Mapping[str, Any], validation: Mapping[str, Any], losses: Path
) -> str:
    """The whole page. `stages`: what each stage measured, by its name; `validation`: the results of each suite."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["percent"] = _percent
    environment.filters["range"] = _range
    environment.filters["signed"] = _signed
    environment.globals["pieces"] = tool_syntax.pieces
    first = next(iter(exams.values()), [])
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        accuracy=Markup(figures.accuracy(results["models"])),
        curves=Markup(figures.losses(losses, list(exams))),
        stages=stages,
        validation=validation,
        shown=[(answered.problem, {name: sat[i] for name, sat in exams.items()}) for i, answered in enumerate(first[:problems_shown])],
    )


def _percent(value: Mapping[str, float] | float) -> str:
    mean = value if isinstance(value, int | float) else value.get("mean")
    return "–" if mean is None else f"{100 * mean:.1f}"


def _range(value: Mapping[str, float]) -> str:
    return f"{100 * value['low']:.1f}–{100 * value['high']:.1f}" if "low" in value else ""


def _signed(value: Mapping[str, float]) -> str:
    return f"{100 * value['difference']:+.1f} ({100 * value['low']:+.1f} to {100 * value['high']:+.1f})"
