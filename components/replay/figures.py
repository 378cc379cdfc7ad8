"""Cost and accuracy of recipes as one picture, SVG text: same numbers, same bytes. Black is the page's own ink, so that it may be dark."""

import math
from collections.abc import Mapping
from typing import Any

from components.lib.svg import svg

RECIPE, MAJORITY, ANY = "#3b7dd8", "#8794a8", "#d0a52b"


def cost(results: Mapping[str, Any]) -> str:
    """Accuracy over tokens and, where recipes were replayed, over seconds: each a point with its number in the table and two intervals."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(11.6, 4.4), layout="constrained")
    replayed = [(place, row) for place, row in enumerate(results["recipes"].values(), 1) if "accuracy" in row]
    panels: list[Any] = list(figure.subplots(1, 2 if replayed else 1, sharey=True, squeeze=False).flat)
    _curves(panels[0], results["pool"])
    for axes, what in zip(panels, ("tokens", "seconds"), strict=False):
        for place, row in replayed:
            _point(axes, row[what], row["accuracy"], place)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"{what} per problem")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("% of problems right")
    panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    return svg(figure)


def _curves(axes: Any, pool: Mapping[str, Any]) -> None:
    """What k whole attempts would give: the majority's exact accuracy, and the most that any selection could reach.

    Only as far as all problems of the first point have so many: a line that loses problems on its way compares nothing.
    """
    points = list(pool["at"].items())
    whole = [(k, at) for k, at in points if at["missing"] == points[0][1]["missing"]]
    tokens = [k * pool["tokens_per_attempt"] for k, _ in whole]
    for name, colour, label in (("pass", ANY, "any of k right"), ("majority", MAJORITY, "majority of k, no stop")):
        shares = [100 * at[name]["mean"] for _, at in whole]
        axes.plot(tokens, shares, "o-", color=colour, label=label, markersize=3, linewidth=1.2)


def _point(axes: Any, cost: Mapping[str, float], accuracy: Mapping[str, float], number: int) -> None:
    x, y = cost["mean"], 100 * accuracy["mean"]
    spread = [[abs(100 * accuracy[end] - y)] for end in ("low", "high")]
    axes.errorbar(x, y, spread, [[abs(cost[end] - x)] for end in ("low", "high")], fmt="o", color=RECIPE, markersize=5, elinewidth=0.5)
    turn = 2 * math.pi * number * 0.381966  # the golden angle: numbers of points that lie close together stand apart
    away = (11 + number % 3 * 6) * math.cos(turn), (11 + number % 3 * 6) * math.sin(turn)
    axes.annotate(str(number), (x, y), away, textcoords="offset points", fontsize=8, color="#000000", ha="center", va="center")
