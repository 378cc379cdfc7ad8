"""Expectations of a training set as a whole: enough rows, not too much left out, nothing left out too often, no drift.

Drift is against the set that the champion was trained on, by the `stats.json` of both: the share of rows that would have to move for the
two to be alike (total variation distance) in length, in source and in answer.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.errors import UserError
from components.core.types import Dropped
from components.validate.check import Checks, Limits

DRIFT_COLUMNS = ("characters", "sources", "answers")
"""What stats.json counts rows by, and drift compares."""


def checks(data: Path, limits: Limits) -> list[Checks]:
    """One row about the set, and one row for each reason of leaving out."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    stats = read_stats(data / "stats.json")
    reasons = Counter(row.reason for row in rows.read(data / "dropped.parquet", Dropped))
    seen = (stats["rows"] + reasons.total()) or 1
    drifts = drift(stats, read_stats(limits.champion.checked())) if limits.champion else {}
    columns = {"id": "object", "rows": "int64", "share_dropped": "float64", **{f"drift_of_{name}": "float64" for name in drifts}}
    about = {"id": data.name, "rows": stats["rows"], "share_dropped": reasons.total() / seen}
    about |= {f"drift_of_{name}": share for name, share in drifts.items()}
    whole = [
        gxe.ExpectColumnValuesToBeBetween(column="rows", min_value=limits.min_rows, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="share_dropped", max_value=limits.max_share_dropped, severity=warning),
        *(gxe.ExpectColumnValuesToBeBetween(column=f"drift_of_{name}", max_value=limits.max_drift, severity=warning) for name in drifts),
    ]
    each = [gxe.ExpectColumnValuesToBeBetween(column="share", max_value=limits.max_reason_share, severity=warning)]
    shares = [{"id": reason, "share": num / seen} for reason, num in sorted(reasons.items())]
    return [Checks("training set", columns, [about], whole), Checks("left out", {"id": "object", "share": "float64"}, shares, each)]


def read_stats(path: Path) -> dict[str, Any]:
    """A stats.json; raises UserError where it is none."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; compose writes it beside the rows: make the set again")
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not {"rows", *DRIFT_COLUMNS} <= set(found):
        raise UserError(f"{path}: not what compose writes as stats.json (wanted: rows, {', '.join(DRIFT_COLUMNS)})")
    return found


def drift(stats: Mapping[str, Any], champion: Mapping[str, Any]) -> dict[str, float]:
    """0: alike, 1: nothing in common, by each of DRIFT_COLUMNS."""
    return {name: _distance(stats[name], champion[name]) for name in DRIFT_COLUMNS}


def _distance(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    ours, theirs = sum(one.values()) or 1, sum(other.values()) or 1
    return sum(abs(one.get(name, 0) / ours - other.get(name, 0) / theirs) for name in {*one, *other}) / 2
