"""Attempts on the wall clock: kept when they end, through a kill, a failure and a wish for more; slots that stay busy; clocks that say what they cut."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Candidate, Problem
from components.lib.engine.config import Engines
from components.lib.engine.protocol import Completion, EngineError, Progress, Sampling
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.engine.tokens import Tokens
from components.solve.attempt_log import AttemptLog, LoggedAttempt
from components.solve.exam_run import ExamRun, QuestionLog, Solve, attempt_params
from components.solve.stage import solve
from tests import model_fixtures
from tests.question_fixtures import CAPACITY, CONTEST, HOSTS, SANDBOX, LazySandbox, fixed, recorded, settings
from tests.row_fixtures import problem

ROOT = Path(__file__).parents[1]
NO_CLOCK = {"kind": "none"}
STATEMENTS = 3


def asking(attempts: int, **over: object) -> Solve:
    """So many attempts at each problem, all independent, by the micro model."""
    more = {"engine": "transformers", "max_tokens": 60, "time_budget": NO_CLOCK, "max_concurrent_questions": 2, **over}
    return settings(plan=fixed(cot=attempts), **more)


def asked(num: int = STATEMENTS) -> list[Problem]:
    return [problem(f"p{place}", statement=f"What is {place} + 1?") for place in range(num)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro", 1024)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, where attempts are kept."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    rows.write(tmp_path / "problems.parquet", asked(), Problem)
    return tmp_path


def run_stage(home: Path, model: Path, config: Solve) -> Metrics:
    """The stage as the runner calls it, on the wall clock."""
    engines = Engines.load(ROOT / "params.yaml")
    engines = engines.model_copy(update={"transformers": engines.transformers.model_copy(update={"step_s": None, "batch": 4})})
    work = home / f"work-{time.monotonic_ns()}"
    work.mkdir()
    return solve(
        config, engines, SANDBOX, CONTEST, HOSTS, CAPACITY, problems=home / "problems.parquet", model=model,
        out=home / "candidates.parquet", questions=home / "questions.parquet", work=work,
    )  # fmt: skip


def kept(home: Path) -> list[LoggedAttempt]:
    return [attempt for file in (home / ".aimo" / "attempts").glob("*.jsonl") for attempt in rows.read(file, LoggedAttempt)]


def made(home: Path, model: Path, config: Solve) -> dict[tuple[str, int], str]:
    """What the stage seals: texts by problem and index."""
    run_stage(home, model, config)
    return {(c.problem, c.index): c.text for c in rows.read(home / "candidates.parquet", Candidate)}


def test_more_attempts_cost_only_the_new_ones_and_no_one_else_gets_them(home: Path, model: Path) -> None:
    two = made(home, model, asking(2))
    assert len(kept(home)) == 2 * STATEMENTS
    four = made(home, model, asking(4))
    assert len(kept(home)) == 4 * STATEMENTS == len(four)
    assert {place: text for place, text in four.items() if place[1] < 2} == two
    assert len({attempt.text for attempt in kept(home)}) > STATEMENTS  # seeds differ
    made(home, model, asking(4, temperature=0.5))
    assert len(list((home / ".aimo" / "attempts").iterdir())) == 2 and len(kept(home)) == 8 * STATEMENTS


def test_a_run_killed_in_the_middle_of_its_questions_repeats_no_finished_attempt(home: Path, model: Path) -> None:
    script = (
        "from pathlib import Path; from tests.test_attempts import asking, run_stage;"
        f"run_stage(Path({str(home)!r}), Path({str(model)!r}), asking(8, max_concurrent_questions=3))"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 120
    while not kept_lines(home) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = kept_lines(home)
    assert 0 < len(before) < 8 * STATEMENTS, "killed between its first attempt and its last"
    made(home, model, asking(8, max_concurrent_questions=3))
    after = kept_lines(home)
    assert after[: len(before)] == before and len(after) == 8 * STATEMENTS
    assert len({json.loads(line)["key"] for line in after}) == len(after), "each was made once"


def kept_lines(home: Path) -> list[bytes]:
    """Whole lines."""
    files = (home / ".aimo" / "attempts").glob("*.jsonl")
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
