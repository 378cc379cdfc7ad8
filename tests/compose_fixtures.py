"""Sets as params.yaml describes them, for tests: a kind's settings with a few fields said, and one run of the stage in a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.compose.kind import AttemptGroup, TrainingRow
from components.compose.stage import Compose, compose
from components.core import params, rows
from components.core.types import Annotation, Candidate, Dropped, Problem
from components.lib.answers import Contest

ROOT = Path(__file__).parents[1]
CONTEST = Contest(low=0, high=999, modulus=1000)


class Composed(NamedTuple):
    """What a run of the stage left."""

    kept: list[Any]
    dropped: list[Dropped]
    metrics: dict[str, Any]
    card: dict[str, Any]
    out: Path


def config(key: str, common: dict[str, Any] | None = None, **fields: Any) -> Compose:
    """An entry of the project's own params.yaml with some of its fields changed."""
    section = params.read(ROOT / "params.yaml")["compose"]
    entry = {**section["common"], **(common or {}), "rows": {**section[key]["rows"], **fields}}
    return Compose.check({"compose": {"common": {}, key: entry}}, Path("params.yaml"), key)


def group(problem: Problem, candidates: Sequence[Candidate], annotations: Sequence[Annotation] = ()) -> AttemptGroup:
    return AttemptGroup(problem, candidates, annotations, CONTEST, 1)


def made(settings: Compose, of: AttemptGroup) -> tuple[list[TrainingRow], dict[str, str]]:
    """The rows of one problem, and the reasons by id."""
    found = list(settings.rows.make(of))
    return [row for row in found if not isinstance(row, Dropped)], {row.id: row.reason for row in found if isinstance(row, Dropped)}


def run(
    settings: Compose,
    folder: Path,
    problems: Sequence[Problem],
    candidates: Sequence[Candidate],
    annotations: Sequence[Annotation] = (),
    solutions: Sequence[Candidate] = (),
    name: str = "out",
) -> Composed:
    """The stage over these rows, in this order."""
    rows.write(folder / "problems.parquet", problems, Problem)
    rows.write(folder / "candidates.parquet", candidates, Candidate)
    rows.write(folder / "annotations.parquet", annotations, Annotation)
    rows.write(folder / "solutions.parquet", solutions, Candidate)
    counted = {"read": {"files": len(problems) + 1}, "dropped": {"duplicate": {"files": 1}}, "written": {"train": len(problems)}}
    (folder / "curate.json").write_text(json.dumps(counted), encoding="utf-8")
    out, card = folder / name, folder / f"{name}-card"
    measured = compose(
        settings,
        CONTEST,
        candidates=folder / "candidates.parquet",
        annotations=folder / "annotations.parquet",
        problems=folder / "problems.parquet",
        solutions=folder / "solutions.parquet",
        curated=folder / "curate.json",
        out=out,
        card=card,
    )
    kept = list(rows.read(out / f"{settings.rows.file}.parquet", settings.rows.row))
    dropped = list(rows.read(out / "dropped.parquet", Dropped))
    return Composed(kept, dropped, measured, json.loads((card / "card.json").read_text(encoding="utf-8")), out)
