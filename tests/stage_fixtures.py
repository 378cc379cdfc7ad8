"""Commands of stages as DVC runs them, and a folder that holds what they read: what tests of bad input share."""

import copy
import functools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core import params, rows
from components.core.types import Annotation, Candidate, Check, Judgement, Problem, QuestionRecord
from tests.row_fixtures import candidate, problem

ROOT = Path(__file__).parents[1]
WORDS = {
    "vote": "--candidates candidates.parquet --questions questions.parquet --judgements judgements.parquet --checks checks.parquet "
    "--problems problems.parquet --out out.parquet",
    "compose cot": "--candidates candidates.parquet --annotations annotations.parquet --problems problems.parquet "
    "--solutions solutions.parquet --curated curate.json "
    "--out out.parquet --card card",
    "judge": "--candidates candidates.parquet --problems problems.parquet --model . --out out.parquet",
    "solve exam-cot": "--problems problems.parquet --model . --out out.parquet --questions questions.parquet",
    "collect generated.generated": "--out out.parquet",
    "curate": "--raw . --extracted . --out out.parquet",
}
Folder = Path
Edit = Callable[[dict[str, Any]], object]


def filled(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A working directory with the tiny profile, an exam of two problems and the candidates of a run."""
    monkeypatch.chdir(home)
    Path("infra").symlink_to(ROOT / "infra")
    write_params(lambda whole: None)
    rows.write(Path("problems.parquet"), [problem("p"), problem("q")], Problem)
    rows.write(Path("annotations.parquet"), [], Annotation)
    rows.write(Path("solutions.parquet"), [], Candidate)
    rows.write(
        Path("candidates.parquet"), [candidate(answer, name, index) for name in "pq" for index, answer in enumerate((7, 3))], Candidate
    )
    rows.write(Path("judgements.parquet"), [], Judgement)
    rows.write(Path("checks.parquet"), [], Check)
    rows.write(Path("questions.parquet"), [], QuestionRecord)
    Path("curate.json").write_text('{"read": {}, "dropped": {}, "written": {}}', encoding="utf-8")
    return home


@functools.cache
def tiny() -> dict[str, Any]:
    return params.read(ROOT / "params.yaml")


def write_params(edit: Edit) -> None:
    whole = copy.deepcopy(tiny())
    edit(whole)
    Path("params.yaml").write_text(json.dumps(whole), encoding="utf-8")


def words(stage: str) -> list[str]:
    return [*stage.split()[1:], *WORDS[stage].split(), "--metrics", "metrics.json"]


def run(name: str, *flags: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command as DVC runs it, in the current folder; `limit`: bytes that a file may have."""
    return subprocess.run(
        [sys.executable, "-m", f"components.{name}", *flags], capture_output=True, text=True, timeout=300, env=environment(),
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}
