"""The named parts of the graph, and what follows the last stage. Knows neither Prefect nor how a stage is run.

Each flow is a set of targets with all they need; `retrain` is the whole graph. After it come the mirror, the registry, the gate.
"""

from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from components.core.params import nearest
from flows.graph import Graph


class Part(NamedTuple):
    """Stage patterns; those that are, or need, a stage of `without` are left out."""

    targets: tuple[str, ...]
    without: tuple[str, ...] = ()


PARTS = {
    "build-data": Part(("compose@*", "validate@*"), without=("train@*",)),
    "finetune": Part(("train@*",)),
    "quantize": Part(("quantize@*",)),
    "evaluate": Part(("report",)),
    "retrain": Part(("*",)),
}


def stages(graph: Graph, name: str) -> set[str]:
    """The stages of a part, by name."""
    if name not in PARTS:
        raise UserError(f"no flow '{name}'{nearest(name, PARTS)}; there are: {', '.join(PARTS)}")
    part = PARTS[name]
    targets = graph.matching(part.targets) - graph.with_users(graph.named(part.without))
    return graph.with_needs(targets)


def finish(root: Path, promote: bool) -> list[str]:
    """What follows the graph: mirror it into MLflow, register the models, and let the gate choose. Returns what to tell.

    A tracking server that is away stops nothing: what ran is recorded in dvc.lock, and is mirrored when it is back.
    """
    from flows import lineage
    from flows import promote as gate

    told = [f"MLflow: {lineage.sync(root)} new runs"]
    if promote:
        try:
            told += gate.show(gate.promote(root)).splitlines()
        except lineage.Away as away:
            told.append(f"no promotion: {away}; `aimo promote` makes up for it")
    return told
