"""The named parts of the graph, and what follows the last stage. Knows neither Prefect nor how a stage is run.

Each flow is a set of targets with all they need; `retrain` is the whole graph. After it come the mirror, the registry, the gate;
what they last saw is kept in .aimo/published.json.
"""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from components.core.params import PARAMS, did_you_mean, read
from components.core.runner import HOME, write_json
from flows.dvc_lock import head
from flows.graph import Graph

PUBLISHED = HOME / "published.json"
"""What mirror and gate last saw, and what the gate said."""


class Subgraph(NamedTuple):
    """Stage patterns; those that are, or need, a stage of `without` are left out."""

    targets: tuple[str, ...]
    without: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    """Stages that follow, and take what is there: not all that they could show is made."""


SUBGRAPHS = {
    "build-data": Subgraph(("compose@*", "validate@*"), without=("train@*",)),
    "finetune": Subgraph(("train@*",)),
    "quantize": Subgraph(("quantize@*",)),
    "evaluate": Subgraph(("report",)),
    "exam": Subgraph(("vote@*",), last=("report",)),
    "retrain": Subgraph(("*",)),
}


def stages(graph: Graph, name: str) -> set[str]:
    """The stages of a part, by name."""
    if name not in SUBGRAPHS:
        raise UserError(f"no flow '{name}'{did_you_mean(name, SUBGRAPHS)}; there are: {', '.join(SUBGRAPHS)}")
    part = SUBGRAPHS[name]
    targets = graph.matching(part.targets) - graph.with_downstream(graph.named(part.without))
    return graph.with_upstream(targets) | graph.named(part.last)


def publish(root: Path, promote: bool) -> list[str]:
    """What follows the graph: mirror it into MLflow, register the models, and let the gate choose. Returns what to print.

    A tracking server that is away stops nothing: what ran is recorded in dvc.lock, and is mirrored when it is back. What was mirrored and
    judged as it stands is not asked again: its last verdict is told.
    """
    inputs = _inputs_digest(root)
    kept = json.loads((root / PUBLISHED).read_text(encoding="utf-8")) if (root / PUBLISHED).exists() else {}
    if promote and kept.get("inputs") == inputs and kept["store"] == _store_state(root):
        return [f"MLflow: nothing new since {kept['at']}", *kept["messages"]]
    from flows import lineage
    from flows import promote as gate

    mirrored = f"MLflow: {lineage.sync(root)} new runs"
    if not promote:
        return [mirrored]
    try:
        messages = gate.show(gate.promote(root)).splitlines()
    except lineage.TrackingUnavailable as away:
        return [mirrored, f"no promotion: {away}; `aimo promote` makes up for it"]
    write_json(
        root / PUBLISHED, {"inputs": inputs, "store": _store_state(root), "at": f"{datetime.now():%Y-%m-%d %H:%M}", "messages": messages}
    )
    return [mirrored, *messages]


def invalidate(root: Path) -> None:
    """The next `publish` asks again: somebody moves the champion by hand."""
    (root / PUBLISHED).unlink(missing_ok=True)


def _inputs_digest(root: Path) -> str:
    """A digest of all that mirror and gate read: what was recorded, how it is judged, the commit that holds it, and where it is shown."""
    lock = root / "dvc.lock"
    gate, where = json.dumps(read(root / PARAMS).get("promote"), sort_keys=True), os.environ.get("MLFLOW_TRACKING_URI", "")
    digest = hashlib.sha256(lock.read_bytes() if lock.exists() else b"")
    digest.update("\0".join([gate, head(root), where]).encode())
    return digest.hexdigest()


def _store_state(root: Path) -> list[int]:
    """The state of our own store, which is a file that others may write to; [] where there is none."""
    path = root / HOME / "mlflow.db"
    return [path.stat().st_mtime_ns, path.stat().st_size] if path.exists() else []
