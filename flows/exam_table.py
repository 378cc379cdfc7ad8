"""The results of an exam as a table: each benchmark and all together, shares with their intervals, and what was left out.

Reads reports/results.json, the small files of collect and curate, and params.yaml for the benchmarks' names. Writes nothing.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.core.params import PARAMS, read
from flows.summary import REPORTS

Measured = Mapping[str, Any]
TOGETHER = "together"


def show(root: Path) -> None:
    """Prints the table, the rows that were left out, and where the page is."""
    from rich.console import Console
    from rich.table import Table

    results = json.loads((root / REPORTS / "results.json").read_text(encoding="utf-8"))
    exams = list(_exams(results, _benchmarks(root)))
    table = Table("", *(f"{benchmark}\n{model}" for benchmark, model, _ in exams), box=None, pad_edge=False)
    table.add_row("problems", *(str(measured["problems"]) for *_, measured in exams))
    for name in sorted({name for *_, measured in exams for name in measured if "@" in name}, key=lambda name: (name != "pass@1", name)):
        table.add_row(name, *(_share(measured[name]) for *_, measured in exams))
    for name in exams[0][2]["vote_accuracy"]:
        table.add_row(f"vote: {name}", *(_share(measured["vote_accuracy"][name]) for *_, measured in exams))
    table.add_row("any correct", *(_share(measured["oracle"]) for *_, measured in exams))
    console = Console(width=max(100, Console().width), highlight=False)
    console.print(table)
    console.print("per cent of problems, in brackets the interval over problems")
    for line in _left_out(root):
        console.print(line)
    console.print(f"report   {root / REPORTS / 'index.html'}")


def _benchmarks(root: Path) -> list[str]:
    groups = read(root / PARAMS)["sources"].values()
    return [name for group in groups for name, entry in group.items() if entry["use"] == "exam"]


def _exams(results: Mapping[str, Any], benchmarks: list[str]) -> Iterator[tuple[str, str, Measured]]:
    """Benchmark, model and its numbers, the sum of several benchmarks last."""
    parts = results.get("benchmarks", {})
    asked = [(name, parts[name]) for name in benchmarks if name in parts]
    for benchmark, models in [*asked, (TOGETHER if parts else benchmarks[0], results["models"])]:
        for model, measured in models.items():
            yield benchmark, model, measured


def _share(value: Measured) -> str:
    """`62.5 (50.0–75.0)`, in per cent."""
    if "mean" not in value:
        return "–"
    return f"{100 * value['mean']:.1f} ({100 * value['low']:.1f}–{100 * value['high']:.1f})"


def _left_out(root: Path) -> Iterator[str]:
    """Per benchmark the rows that are not asked, and why."""
    curated = _measured(root, "curate").get("dropped", {})
    for name in _benchmarks(root):
        read_rows = next(filter(None, (_measured(root, f"{stage}@{name}") for stage in ("collect", "download", "generate"))), {})
        reasons = Counter(read_rows.get("reasons", {})) + Counter({reason: by.get(name, 0) for reason, by in curated.items()})
        if reasons:
            told = ", ".join(f"{reason} {num}" for reason, num in reasons.most_common())
            yield f"{name}: {reasons.total()} of {read_rows['problems'] + read_rows['dropped']} rows are not asked: {told}"


def _measured(root: Path, stage: str) -> dict[str, Any]:
    path = root / REPORTS / "metrics" / f"{stage}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
