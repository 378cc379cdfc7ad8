"""Attempts on the wall clock: kept when they end, through a kill, a failure and a wish for more; and what a clock cuts off is told."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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
from components.lib.rules.time_budget import Fixed
from components.solve.attempt_log import AttemptLog, LoggedAttempt
from components.solve.exam_run import ExamRun, LoggedQuestion, QuestionLog, Solve, attempt_params
from components.solve.stage import solve
from tests import model_fixtures
from tests.question_fixtures import CAPACITY, CONTEST, HOSTS, SANDBOX, LazySandbox, fixed, recorded, settings
from tests.row_fixtures import problem

ROOT = Path(__file__).parents[1]
END = "</tool_call>"
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


class TimedEngine(ScriptedEngine):
    """Recorded replies on the wall clock: each request takes its seconds, and `dead` ones find no server."""

    def __init__(self, path: Path, seconds: Callable[[str], float] = lambda key: 0.0, dead: Sequence[str] = ()) -> None:
        super().__init__(ScriptedSettings(step_s=1.0), path)
        self.step_s = None
        self.asked: list[str] = []
        self._seconds, self._dead = seconds, dead

    def now(self) -> float:
        return time.monotonic()

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        self.asked.append(key)
        await asyncio.sleep(self._seconds(key))
        if key in self._dead:
            raise EngineError(f"{key}: the server is gone")
        text = self.reply(prompt.text, key).text
        return Completion(text, 1, "stop", END if text.endswith(END) else None)


def exam_run(folder: Path, engine: TimedEngine, config: Solve, problems: Sequence[Problem]) -> None:
    """An exam that goes on with what lies in the folder."""

    async def run() -> None:
        with rows.JsonlWriter(folder / "questions.jsonl") as growing, AttemptLog(folder / "attempts.jsonl") as attempts:
            async with engine, LazySandbox() as box:
                exam = ExamRun(config, attempt_params(config, CONTEST, folder), engine, box, problems, growing, attempts)
                await exam.run(QuestionLog(folder / "questions.jsonl", []).timings)

    asyncio.run(run())


def replies(folder: Path, problems: int, attempts: int) -> Path:
    return recorded(folder, {f"p{p}/{a}/0": f"Attempt {a}: \\boxed{{7}}" for p in range(problems) for a in range(attempts)})


@pytest.mark.parametrize("early_stopping", [[], [{"kind": "agree", "of_first": 9, "equal": 9}]])
def test_an_attempt_that_the_server_failed_is_made_again_alone(tmp_path: Path, early_stopping: list[dict[str, object]]) -> None:
    file, config = replies(tmp_path, 3, 4), asking(4, early_stopping=early_stopping, max_concurrent_questions=3)
    broken = TimedEngine(file, dead=["p1/2/0"])
    with pytest.raises(EngineError, match="p1/2/0: the server is gone"):
        exam_run(tmp_path, broken, config, asked())
    assert len(broken.asked) == 12, "the others ended"
    whole = TimedEngine(file)
    exam_run(tmp_path, whole, config, asked())
    assert whole.asked == ["p1/2/0"]
    log = QuestionLog(tmp_path / "questions.jsonl", [problem.id for problem in asked()])
    assert [[c.finish_reason for c in question.candidates] for question in log] == [["stop"] * 4] * 3


def test_after_a_failure_no_other_question_is_opened(tmp_path: Path) -> None:
    engine = TimedEngine(replies(tmp_path, 5, 1), dead=["p1/0/0"])
    with pytest.raises(EngineError):
        exam_run(tmp_path, engine, asking(1, max_concurrent_questions=1), asked(5))
    assert engine.asked == ["p0/0/0", "p1/0/0"]


def test_a_questions_last_attempt_keeps_no_slot_idle(tmp_path: Path) -> None:
    """While the last attempt of the first question goes on, all others are asked, four attempts at a time in seven slots."""
    engine = TimedEngine(replies(tmp_path, 6, 4), lambda key: 0.3 if key == "p0/3/0" else 0.01)
    exam_run(tmp_path, engine, asking(4, max_concurrent_questions=2), asked(6))
    order = [question.record.problem for question in rows.read(tmp_path / "questions.jsonl", LoggedQuestion)]
    assert sorted(order) == [f"p{place}" for place in range(6)] and order[-1] == "p0"


def test_a_restored_attempt_is_what_it_was_and_the_clock_goes_on(tmp_path: Path) -> None:
    file = recorded(tmp_path, {"p0/0/0": "<tool_call>\nprint(3 + 4)\n</tool_call>", "p0/0/1": "So \\boxed{7}.", "p0/1/0": "\\boxed{8}"})
    config = settings(plan=fixed(tir=2), time_budget={"kind": "fixed", "question_s": 9.0, "exam_s": 9.0})
    with pytest.raises(EngineError):
        exam_run(tmp_path, TimedEngine(file, lambda key: 0.2, dead=["p0/1/0"]), config, asked(1))
    (kept,) = rows.read(tmp_path / "attempts.jsonl", LoggedAttempt)
    exam_run(tmp_path, TimedEngine(file), config, asked(1))
    ((first, second),) = [question.candidates for question in QuestionLog(tmp_path / "questions.jsonl", ["p0"])]
    assert (first.answer, first.printed, first.rank, [run.output for run in first.runs]) == (7, 7, 0, ["7\n"])
    assert (first.text, first.inserted, first.num_tokens) == (kept.text, kept.inserted, kept.num_tokens) and len(first.inserted) == 1
    assert second.answer == 8 and second.seconds >= first.seconds == kept.at_s >= 0.4


def test_a_log_forgets_half_a_line_and_two_writers_share_it(tmp_path: Path) -> None:
    path, config = tmp_path / "attempts.jsonl", asking(2)
    exam_run(tmp_path, TimedEngine(replies(tmp_path, 1, 2)), config, asked(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    first, second = json.loads(whole.splitlines()[0]), json.loads(whole.splitlines()[1])
    with AttemptLog(path) as log:
        assert path.read_bytes() == whole
        with AttemptLog(path) as other:
            for each in (log, other):
                found = each.find(second["key"])
                assert found and found.text == second["text"] != first["text"] and each.find("0" * 32) is None


def test_what_the_clock_cut_and_what_was_said_twice_is_counted_and_told(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    engines = Engines.load(ROOT / "params.yaml")
    same = {f"p{p}/{a}/0": "so " * 40 + "\\boxed{7}" for p in range(STATEMENTS) for a in range(3)}
    config = asking(3, engine="scripted", max_tokens=100, max_concurrent_questions=1)
    for exam_s, unasked, duplicates in ((1e6, 0, 2 * STATEMENTS), (0.0, STATEMENTS, 0)):
        config = config.model_copy(update={"time_budget": Fixed(kind="fixed", question_s=1e6, exam_s=exam_s)})
        measured = solve(
            config, engines, SANDBOX, CONTEST, HOSTS, CAPACITY, problems=home / "problems.parquet", model=recorded(home, same),
            out=home / "c.parquet", questions=home / "q.parquet", work=Path(tempfile.mkdtemp(dir=home)),
        )  # fmt: skip
        assert (measured["questions_unasked"], measured["duplicates"]) == (unasked, duplicates)
        assert ("left 3 of 3 questions without an attempt" in caplog.text) == bool(unasked)


def test_a_clock_that_names_too_few_ends_is_refused_before_it_starts(home: Path) -> None:
    clock = {"kind": "cutoffs", "exam_s": 20.0, "ends_s": [10.0, 20.0]}
    with pytest.raises(UserError, match="names 2 ends, but there are 3 questions"):
        run_stage(home, home / "no-model", asking(1, time_budget=clock))
