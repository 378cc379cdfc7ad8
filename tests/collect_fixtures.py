"""Entries of `sources` as params.yaml would hold them, and the rows that come of one: what tests of sources share."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from components.collect.source import Collect
from components.collect.stage import collect
from components.core import rows
from components.core.types import Dropped, Problem
from components.lib.answers import Contest

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
CONTEST = Contest(low=0, high=999, modulus=1000)
LICENCES = ["Apache-2.0", "CC0-1.0", "MIT"]
FILE = {
    "kind": "table",
    "use": "train",
    "sha256": None,
    "licence": "CC0-1.0",
    "id": "id",
    "statement": "problem",
    "answer": "answer",
    "answer_pattern": None,
    "on_bad_answer": "drop",
    "group": None,
    "limit": None,
}
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")


def entry(key: str, licences: list[str] = LICENCES, **fields: Any) -> Collect:
    """The only entry of its params, e.g. `files.set`."""
    group, _, name = key.partition(".")
    sources = {"generated": {}, "files": {}, "hub": {}, group: {name: fields}}
    return Collect.check({"sources": sources, "collect": {"licences": licences}}, Path("params.yaml"), key)


def one_file(path: Path | str, name: str = "set", **fields: Any) -> Collect:
    return entry(f"files.{name}", **{**FILE, "path": str(path), **fields})


def problems(config: Collect, out: Path) -> tuple[list[Problem], list[Dropped], dict[str, Any]]:
    measured = collect(config, CONTEST, out=out)
    return list(rows.read(out / "problems.parquet", Problem)), list(rows.read(out / "dropped.parquet", Dropped)), measured


def jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
