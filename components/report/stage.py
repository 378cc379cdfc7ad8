"""The stage: measure every exam, write the numbers, the plot data and the page."""

import csv
import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.models import Exam, Models
from components.core.params import Config
from components.core.runner import In, Metrics, Out
from components.core.types import Problem
from components.lib.sources import Sources, Use
from components.report import exam_results, metrics
from components.report.metrics import Bootstrap, Exams
from components.report.page import html

FROM_PARAMS = ("fetch", "import", "generate", "collect", "download", "train", "quantize", "exam", "judge", "verify", "vote")
"""Stages whose keys are entries of params.yaml."""


class Report(Config, section="report"):
    """What is shown and how sure it is."""

    k_values: list[Annotated[int, Field(ge=1)]]
    """k of pass@k and maj@k, besides 1."""
    problems_shown: int
    """How many problems get a section of their own on the page."""
    confidence: float
    resamples: int
    seed: int


def report(
    config: Report, sources: Sources, models: Models, exam: Exam,
    *, runs: In, problems: In, validation: In, measured: In, losses: In, page: Out, plots: Out,
) -> Metrics:  # fmt: skip
    """Tables, plot data and one page from what the other stages stored."""
    asked = list(rows.read(problems / "exam.parquet", Problem))
    if not asked:
        raise UserError(f"{problems / 'exam.parquet'}: holds no problem; see `use: exam` under sources")
    exams: Exams = {name: exam_results.read(runs / name, asked) for name in exam.examinees}
    bootstrap = Bootstrap(config.confidence, config.resamples, config.seed)
    results = {
        "models": {name: metrics.model_metrics(exam, config.k_values, bootstrap) for name, exam in exams.items()},
        "compared": {
            f"{b} - {a}": metrics.compare(exams[a], exams[b], bootstrap)
            for a, b in exam.compared(models)
            if "majority" in exams[a][0].votes and "majority" in exams[b][0].votes
        },
        "disputed": {name: metrics.disputed(exam, bootstrap) for name, exam in exams.items()},
    } | _by_benchmark(exams, config.k_values, bootstrap)
    known = [*(name for use in get_args(Use) for name in sources.with_use(use)), *models.origins, *exam.examinees]
    stages = {name: told for name, told in _small_files(measured).items() if _is_there(name, known)}
    shown = html(results, exams, config.problems_shown, stages, _small_files(validation), losses)
    page.write_text(shown, encoding="utf-8")
    _plots(plots, results)
    return results


def _by_benchmark(exams: Exams, k_values: Sequence[int], bootstrap: Bootstrap) -> dict[str, Any]:
    """The same numbers for the problems of each source, where the exam has several."""
    sources = dict.fromkeys(result.problem.source for result in next(iter(exams.values())))
    if len(sources) == 1:
        return {}
    parts = {source: {n: [one for one in exam if one.problem.source == source] for n, exam in exams.items()} for source in sources}
    measured = {s: {n: metrics.model_metrics(exam, k_values, bootstrap) for n, exam in part.items()} for s, part in parts.items()}
    return {"benchmarks": measured}


def _is_there(stage: str, known: Container[str]) -> bool:
    """Whether the stage that measured this is of a source, model or examinee of today: files of what was taken away may lie there."""
    family, _, key = stage.partition("@")
    return key in known if family in FROM_PARAMS else True


def _small_files(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def _plots(folder: Path, results: dict[str, Any]) -> None:
    """Accuracy per model as csv, for `dvc plots`."""
    folder.mkdir(parents=True)
    with (folder / "accuracy.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "measure", "value", "low", "high"])
        for name, model in results["models"].items():
            shown = {
                "pass@1": model["pass@1"],
                "oracle": model["oracle"],
                **{f"vote_accuracy {s}": v for s, v in model["vote_accuracy"].items()},
            }
            for measure, value in shown.items():
                writer.writerow(
                    [name, measure, *(round(value[key], 6) for key in ("mean", "low", "high"))] if "mean" in value else [name, measure]
                )
