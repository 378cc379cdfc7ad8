"""The small files beside the graph: metrics and loss curves as numbers, and the runner's notes on where a stage ran.

Reads reports/metrics/*.json and reports/losses/*.csv, and only while they are the files that dvc.lock recorded: an edited file
must not speak for an entry. Reads .aimo/ran/*.json. Writes nothing.
"""

import csv
import hashlib
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from components.core.runner import HOME
from flows.dvc_lock import Artifact

Curve = list[tuple[int, dict[str, float]]]
log = logging.getLogger(__name__)


def metrics(root: Path, out: Artifact) -> dict[str, float]:
    """The numbers of a metrics file by dotted name; anything else in it is left out."""
    data = json.loads(_recorded(root, out) or "{}")
    return {key: float(value) for key, value in flatten(data) if isinstance(value, int | float)}


def losses(root: Path, out: Artifact) -> Curve:
    """A recorded loss curve."""
    return curve(_recorded(root, out))


def curve(text: str) -> Curve:
    """The rows of a loss curve (step, loss, …); a line that is still being written is left out."""
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    return [(int(row.pop("step")), {key: float(value) for key, value in row.items() if value}) for row in rows]


class StageRun(NamedTuple):
    """When and where a stage ran."""

    ended: float
    seconds: float
    machine: dict[str, Any]
    """Its host, and the settings of infra/machine.yaml that held then, by dotted name."""


def stage_run(root: Path, stage: str, metrics: Collection[str]) -> StageRun | None:
    """The note of the run that left metrics of one of these md5; None where the note is another run's, or there is none."""
    path = root / HOME / "ran" / f"{stage}.json"
    told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return StageRun(told["ended"], told["seconds"], dict(flatten(told["machine"]))) if told.get("metrics") in metrics else None


def flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names and values."""
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _recorded(root: Path, out: Artifact) -> str:
    path = root / out.path
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.md5(data).hexdigest() == out.md5:
        return data.decode()
    log.warning("%s is not the file that dvc.lock recorded (md5 %s); its numbers are left out", path, out.md5)
    return ""
