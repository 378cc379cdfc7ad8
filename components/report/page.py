"""The page: one HTML file without any outside address; all text that a model or a source wrote is escaped by the template engine.

Where the stages ran is no part of it, since its bytes are a result: the page reads that from machine.js beside it, where there is one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.lib import tool_syntax
from components.report import figures
from components.report.funnel import funnel
from components.report.metrics import Exams

TEMPLATE = Path(__file__).with_name("page.html")
MINUS, THIN_SPACE, FIXED_SPACE = "\u2212", "\u202f", "\u00a0"
Numbers = Mapping[str, float]


def html(
    results: Mapping[str, Any], exams: Exams, problems_shown: int, stages: Mapping[str, Any], validation: Mapping[str, Any], losses: Path
) -> str:
    """The whole page. `stages`: what each stage measured, by its name; `validation`: the results of each suite."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "percent": _percent, "range": _range, "signed": _signed, "tone": _tone, "num": _num, "bytes": _bytes, "counts": _counts,
        "label": _label,
    }  # fmt: skip
    environment.globals["pieces"] = tool_syntax.pieces
    first = next(iter(exams.values()))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        models=results["models"],
        strategies=list(next(iter(results["models"].values()))["vote_accuracy"]),
        exact=[name for name in next(iter(results["models"].values())) if "@" in name],
        accuracy=Markup(figures.accuracy(results["models"])),
        curves=Markup(figures.losses(losses, list(exams))),
        solve={**_of("solve", stages, list(exams)), **_of("exam", stages, list(exams))},
        **{component: _of(component, stages, list(exams)) for component in ("judge", "train", "quantize")},
        sources=_sources(results["compared"]),
        funnel=funnel(stages),
        validation=validation,
        shown=[(result.problem, {name: exam[i] for name, exam in exams.items()}) for i, result in enumerate(first[:problems_shown])],
    )


def _of(component: str, stages: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """What the stages of one component measured, by their keys, those of models in the models' order behind the others."""
    found = {name.partition("@")[2]: measured for name, measured in stages.items() if name.startswith(f"{component}@")}
    places = {name: place for place, name in enumerate(order)}
    return dict(sorted(found.items(), key=lambda entry: places.get(entry[0], -1)))


def _sources(compared: Mapping[str, Any]) -> dict[str, tuple[str, Numbers]]:
    """For each model, the one it is compared with and how: a quantized model's is the one that it was made of."""
    pairs = [(*name.split(" - "), numbers) for name, numbers in compared.items()]
    return {second: (first, numbers) for second, first, numbers in pairs}


def _percent(value: Numbers | float | None) -> str:
    mean = value.get("mean") if isinstance(value, Mapping) else value
    return "–" if mean is None else f"{100 * mean:.1f}"


def _range(value: Numbers) -> str:
    return f"{100 * value['low']:.1f}–{100 * value['high']:.1f}" if "low" in value else ""


def _signed(value: Numbers) -> str:
    return f"{100 * value['difference']:+.1f} ({100 * value['low']:+.1f} to {100 * value['high']:+.1f})".replace("-", MINUS)


def _tone(value: Numbers) -> str:
    """Whether a difference is more than luck, as a class of the page."""
    return "good" if value["low"] > 0 else "bad" if value["high"] < 0 else ""


def _num(value: float, digits: int = 3) -> str:
    """Whole numbers in groups of three, others with so many digits that tell."""
    return f"{value:,}".replace(",", THIN_SPACE) if isinstance(value, int) else f"{value:.{digits}g}"


def _bytes(value: int) -> str:
    """`3.0 MB`, in powers of ten."""
    size, unit = float(value), 0
    while size >= 1000 and unit < 4:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g}{FIXED_SPACE}{('B', 'kB', 'MB', 'GB', 'TB')[unit]}"


def _counts(value: Mapping[str, int]) -> str:
    """`24 stop, 3 length`."""
    return ", ".join(f"{_num(num)}{FIXED_SPACE}{name}" for name, num in value.items() if num) or "–"


def _label(name: str) -> str:
    """`expect_column_values_to_be_unique` as words."""
    return name.removeprefix("expect_").removeprefix("column_").replace("_", " ")
