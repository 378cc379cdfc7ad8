"""Plots as SVG text from the report's own numbers: same numbers, same bytes. Black is the page's own ink, so that it may be dark."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.lib.svg import svg

COLOURS = {"pass@1": "#8794a8", "vote_accuracy": "#3b7dd8", "oracle": "#d0a52b"}

LABELS = {"pass@1": "one attempt", "vote_accuracy": "majority vote", "oracle": "any attempt right"}


def accuracy(models: Mapping[str, Mapping[str, Any]]) -> str:
    """Single attempt, vote and best possible, per model, with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, 3.2), layout="constrained")
    axes = figure.subplots()
    width = 0.26
    for place, label in enumerate(COLOURS):
        values = [model["vote_accuracy"].get("majority", {}) if label == "vote_accuracy" else model[label] for model in models.values()]
        heights = [100 * value.get("mean", 0.0) for value in values]
        errors = [[100 * abs(value.get(end, 0.0) - value.get("mean", 0.0)) for value in values] for end in ("low", "high")]
        positions = [index + (place - 1) * width for index in range(len(models))]
        axes.bar(positions, heights, width * 0.92, label=LABELS[label], color=COLOURS[label])
        axes.errorbar(positions, heights, errors, fmt="none", ecolor="#000000", elinewidth=0.9, capsize=2)
    axes.set_xticks(range(len(models)), list(models))
    axes.set_ylabel("% of problems")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    return svg(figure)


def losses(folder: Path, order: Sequence[str]) -> str:
    """The loss of each training stage over its steps, in this order; "" where there is none."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    curves = {name: _curve(folder / f"{name}.csv") for name in order if (folder / f"{name}.csv").exists()}
    if not curves:
        return ""
    figure = Figure(figsize=(8.2, 2.6), layout="constrained")
    for axes, (name, (steps, values)) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        axes.plot(steps, values, color="#3b7dd8", linewidth=1.1)
        axes.set_title(name, fontsize=9)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    return svg(figure)


def _curve(path: Path) -> tuple[Sequence[float], Sequence[float]]:
    with path.open(encoding="utf-8") as file:
        entries = list(csv.DictReader(file))
    return [float(entry["step"]) for entry in entries], [float(entry["loss"]) for entry in entries]
