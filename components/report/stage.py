"""The stage: measure every exam, write the numbers, the plot data and the page."""

import csv
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config, nearest
from components.core.runner import In, Metrics, Out
from components.core.types import Problem
from components.report import measures, sitting
from components.report.measures import Exams, Precision
from components.report.page import html


class Report(Config, section="report"):
    """What is shown and how sure it is."""

    models: Annotated[list[str], Field(min_length=1)]
    """The exams, in the order of the chain."""
    ks: list[Annotated[int, Field(ge=1)]]
    """k of pass@k and maj@k, besides 1."""
    compare: list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    """Pairs [from, to] of models whose majority votes are compared."""
    problems_shown: int
    """How many problems get a section of their own on the page."""
    confidence: float
    resamples: int
    seed: int


def report(config: Report, *, runs: In, problems: In, validation: In, measured: In, losses: In, page: Out, plots: Out) -> Metrics:
    """Tables, plot data and one page from what the other stages stored."""
    exam = list(rows.read(problems / "exam.parquet", Problem))
    _refuse(config, exam, problems)
    exams: Exams = {name: sitting.read(runs / f"exam-{name}", exam) for name in config.models}
    precision = Precision(config.confidence, config.resamples, config.seed)
    results = {
        "models": {name: measures.of_model(sat, config.ks, precision) for name, sat in exams.items()},
        "compared": {
            f"{b} - {a}": measures.compared(exams[a], exams[b], precision)
            for a, b in config.compare
            if "majority" in exams[a][0].votes and "majority" in exams[b][0].votes
        },
        "selections": {name: measures.selections(sat, precision) for name, sat in exams.items()},
    }
    stages = _small_files(measured)
    shown = html(results, exams, config.problems_shown, stages, _small_files(validation), losses)
    page.write_text(shown, encoding="utf-8")
    _plots(plots, results)
    return results


def _refuse(config: Report, exam: list[Problem], problems: Path) -> None:
    if not exam:
        raise UserError(f"{problems / 'exam.parquet'}: holds no problem; see `use: exam` under sources")
    for name in (name for pair in config.compare for name in pair):
        if name not in config.models:
            near = nearest(name, config.models)
            raise UserError(f"params.yaml: report.compare: no model '{name}'{near}; report.models has: {', '.join(config.models)}")


def _small_files(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def _plots(folder: Path, results: dict[str, Any]) -> None:
    """Accuracy per model as csv, for `dvc plots`."""
    folder.mkdir(parents=True)
    with (folder / "accuracy.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "measure", "value", "low", "high"])
        for name, model in results["models"].items():
            shown = {"pass@1": model["pass@1"], "any": model["any"], **{f"voted {s}": v for s, v in model["voted"].items()}}
            for measure, value in shown.items():
                writer.writerow(
                    [name, measure, *(round(value[key], 6) for key in ("mean", "low", "high"))] if "mean" in value else [name, measure]
                )
