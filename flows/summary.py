"""What a run did, as a table for people and reports/summary.json for programs.

Reads the small files that stages leave (reports/metrics/, reports/results.json) and .aimo/ran/, where the runner notes how long a stage
took and where it was when it last really ran. Writes reports/summary.json, and reports/machine.js for the report's page; both are no
outputs of DVC: time and place are not reproducible.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.core.runner import HOME, write_json
from flows.metric_files import StageRun, flatten, stage_run
from flows.walk import Outcome

REPORTS = Path("reports")
SUMMARY = REPORTS / "summary.json"
MACHINE = REPORTS / "machine.js"
KEY_METRICS = (
    "accuracy",
    "attempt_accuracy",
    "last_loss",
    "kl_divergence",
    "ratio",
    "correct",
    "kept",
    "rows",
    "written",
    "problems",
    "num_parameters",
)
"""Names of metrics that say most about a stage, the most telling first; where there are none, its first numbers speak."""


class SummaryRow(NamedTuple):
    """One stage of the table. `seconds`: what this run spent on it; `computed_s`: what it took when it last really ran."""

    stage: str
    state: str
    measured: str
    seconds: float
    computed_s: float | None


def rows(root: Path, outcomes: Sequence[Outcome]) -> list[SummaryRow]:
    """One row for each stage that was reached."""
    return [_row(root, outcome) for outcome in outcomes]


def write(root: Path, flow: str, outcomes: Sequence[Outcome]) -> Path:
    """Writes reports/summary.json, whose path it returns, and reports/machine.js."""
    stages = [row._asdict() for row in rows(root, outcomes)]
    models = _read(root / REPORTS / "results.json").get("models", {})
    write_json(root / SUMMARY, {"flow": flow, "models": models, "stages": stages})
    told = [{"stage": stage, **note._asdict()} for stage, note in _stage_runs(root)]
    (root / MACHINE).write_text(f"window.ran = {json.dumps(told, indent=1)};\n", encoding="utf-8")
    return root / SUMMARY


def _stage_runs(root: Path) -> Iterator[tuple[str, StageRun]]:
    """Of all stages whose metrics lie here, where they ran, in the order in which they ended."""
    files = (root / REPORTS / "metrics").glob("*.json")
    notes = [(file.stem, stage_run(root, file.stem, [hashlib.md5(file.read_bytes()).hexdigest()])) for file in files]
    yield from sorted(((stage, note) for stage, note in notes if note), key=lambda told: told[1].ended)


def show(root: Path, outcomes: Sequence[Outcome]) -> None:
    """Prints the table and where to look further."""
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "measured", "seconds", "state", title=_title(outcomes), title_justify="left", box=None, pad_edge=False)
    for row in rows(root, outcomes):
        took = row.seconds if row.state != "cached" else row.computed_s
        table.add_row(row.stage, row.measured, "" if took is None else f"{took:.0f}", row.state)
    console = Console(width=max(100, Console().width), highlight=False)
    console.print(table)
    console.print(f"report   {REPORTS / 'index.html'}\nMLflow   aimo ui mlflow\nPrefect  aimo ui prefect")


def markdown(root: Path) -> str:
    """The models' results as a page for Prefect."""
    rows = ["| model | measure | mean | low | high |", "|---|---|---|---|---|"]
    for name, model in _read(root / REPORTS / "results.json").get("models", {}).items():
        for measure, value in [("pass@1", model.get("pass@1")), *(model.get("vote_accuracy") or {}).items()]:
            if isinstance(value, dict) and "mean" in value:
                rows.append(f"| {name} | {measure} | {value['mean']:.3f} | {value['low']:.3f} | {value['high']:.3f} |")
    return "\n".join(rows) if len(rows) > 2 else "No model was examined."


def _title(outcomes: Sequence[Outcome]) -> str:
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in ("run", "cached", "failed")}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _row(root: Path, outcome: Outcome) -> SummaryRow:
    ran = _read(root / HOME / "ran" / f"{outcome.stage}.json").get("seconds")
    measured = _key_numbers(_read(root / REPORTS / "metrics" / f"{outcome.stage}.json")) if outcome.status != "failed" else ""
    return SummaryRow(outcome.stage, outcome.status, measured, round(outcome.seconds, 1), ran)


def _key_numbers(metrics: dict[str, Any]) -> str:
    """At most three numbers in words: `rows 6,000, last_loss 0.12`."""
    numbers = {name: value for name, value in flatten(metrics) if isinstance(value, int | float)}
    heads = {name: name.partition(".")[0] for name in numbers}
    telling = sorted((name for name in numbers if heads[name] in KEY_METRICS), key=lambda name: KEY_METRICS.index(heads[name]))
    return ", ".join(f"{name} {_formatted(numbers[name])}" for name in (telling or list(numbers))[:3])


def _formatted(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
