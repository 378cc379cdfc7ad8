"""Sittings: the loop of one attempt, early stop, clocks, and resuming; engines are the template teacher and recorded replies."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from components.solve.question import Rules, question
from components.solve.stopping import Agree, Never, Stop

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.lib import arithmetic
from components.lib.answers import Contest
from components.lib.engine.config import Engines
from components.lib.engine.protocol import Sampling
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.sandbox.local import SandboxConfig, open_sandbox
from components.solve.stage import Solve, solve
from tests.making import problem

CONTEST = Contest(low=0, high=999, modulus=1000)
SANDBOX = SandboxConfig(timeout_s=5.0, memory_mb=1024, output_chars=200, sessions=64, allow_weak=False)
CODE = "<think>\nadd\n</think>\n<tool_call>\nx = {code}\nprint(x)\n</tool_call>"


def sit(
    folder: Path,
    replies: dict[str, str],
    plan: dict[str, int],
    stop: Stop,
    max_executions: int = 2,
    max_tokens: int = 1000,
    limit_s: float = 1e6,
) -> Sequence[Candidate]:
    """One question, answered by recorded replies: "p/<candidate>/<turn>" -> text."""
    file = folder / "replies.jsonl"
    file.write_text("".join(json.dumps({"key": key, "reply": reply}) + "\n" for key, reply in replies.items()), encoding="utf-8")
    rules = Rules(plan, Sampling(1.0, 1.0, 0, 0.0, max_tokens, ("</tool_call>",)), max_executions, stop, CONTEST, seed=1)

    async def run() -> Sequence[Candidate]:
        async with ScriptedEngine(ScriptedSettings(step_s=0.02), file) as engine, open_sandbox(SANDBOX) as box:
            return await question(problem(), rules, engine, box, limit_s)

    return asyncio.run(run())


def test_code_runs_its_output_comes_back_and_variables_live_on(tmp_path: Path) -> None:
    replies = {"p/0/0": CODE.format(code="3 + 4"), "p/0/1": "<tool_call>\nprint(x * 2)\n</tool_call>", "p/0/2": "So \\boxed{7}."}
    (made,) = sit(tmp_path, replies, {"tir": 1}, Never(kind="none"))
    assert [(run.output.strip(), run.status) for run in made.runs] == [("7", "ok"), ("14", "ok")]
    assert "</tool_call>\n```output\n7\n```\n<tool_call>" in made.text and made.text.endswith("\n```output\n14\n```\nSo \\boxed{7}.")
    assert (made.answer, made.ended, made.rank) == (7, "stop", 0)


def test_the_last_generation_runs_no_code(tmp_path: Path) -> None:
    replies = {f"p/0/{turn}": CODE.format(code=turn) for turn in range(3)}
    (made,) = sit(tmp_path, replies, {"tir": 1}, Never(kind="none"), max_executions=2)
    assert len(made.runs) == 2 and made.text.endswith("</tool_call>")
    assert (made.answer, made.abstained) == (None, "no box")


def test_an_attempt_that_runs_out_of_tokens_abstains(tmp_path: Path) -> None:
    (made,) = sit(tmp_path, {"p/0/0": "so long " * 50 + "\\boxed{7}"}, {"cot": 1}, Never(kind="none"), max_tokens=20)
    assert (made.answer, made.ended) == (None, "length") and made.num_tokens <= 20


def test_a_question_out_of_time_is_ended_by_its_clock(tmp_path: Path) -> None:
    (made,) = sit(tmp_path, {"p/0/0": "so long " * 50 + "\\boxed{7}"}, {"cot": 1}, Never(kind="none"), limit_s=0.2)
    assert (made.answer, made.ended) == (None, "time")


def test_four_equal_answers_cancel_the_rest(tmp_path: Path) -> None:
    replies = {f"p/{index}/0": "\\boxed{7}" for index in range(8)}
    made = sit(tmp_path, replies, {"cot": 8}, Agree(kind="agree", of_first=5, equal=4))
    finished = [candidate for candidate in made if candidate.rank is not None]
    assert 4 <= len(finished) < 8
    assert all(c.ended == "cancelled" and c.answer is None and c.abstained == "cancelled" for c in made if c.rank is None)
    assert [candidate.index for candidate in made] == list(range(8))


def settings(**over: object) -> Solve:
    given = {
        "seed": 1, "engine": "teacher", "engine_by_format": {}, "model": None, "plan": {"cot": 1, "tir": 1}, "max_executions": 4,
        "max_tokens": 1000, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "questions_at_once": 8,
        "stop": {"kind": "none"}, "clock": {"question_s": 350.0, "sitting_s": 18000.0},
    }  # fmt: skip
    return Solve.model_validate({**given, **over})


def exam(folder: Path, count: int = 20) -> Path:
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(count)]
    made = [
        Problem(id=f"generated-{seed}", statement=d.statement, answer=d.answer, source="generated", licence="Apache-2.0", group=d.group)
        for seed, d in drawn
    ]
    rows.write(folder / "problems.parquet", made, Problem)
    return folder / "problems.parquet"


def run_stage(folder: Path, name: str, engines: Engines, work: Path | None = None) -> bytes:
    work = work or folder / f"work-{name}"
    work.mkdir(exist_ok=True)
    model = Path(__file__).parents[1] / "components" / "lib" / "arithmetic"
    solve(settings(), engines, SANDBOX, CONTEST, problems=exam(folder), model=model, out=folder / f"{name}.parquet", work=work)
    return (folder / f"{name}.parquet").read_bytes()


@pytest.fixture(scope="module")
def engines() -> Engines:
    return Engines.load(Path(__file__).parents[1] / "params.yaml")


def test_a_sitting_gives_the_same_bytes_twice_and_after_a_kill(tmp_path: Path, engines: Engines) -> None:
    whole = run_stage(tmp_path, "first", engines)
    assert run_stage(tmp_path, "second", engines) == whole
    kept = (tmp_path / "work-first" / "sat.jsonl").read_text(encoding="utf-8")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "sat.jsonl").write_text(kept[: len(kept) * 2 // 3], encoding="utf-8")  # in the middle of a sheet, and of a line
    assert run_stage(tmp_path, "third", engines, tmp_path / "killed") == whole
    made = list(rows.read(tmp_path / "first.parquet", Candidate))
    assert [(c.problem, c.index) for c in made] == [(f"generated-{seed}", index) for seed in range(20) for index in (0, 1)]


def test_too_few_sessions_are_refused_before_anything_is_loaded(tmp_path: Path, engines: Engines) -> None:
    small, asked = SANDBOX.model_copy(update={"sessions": 4}), exam(tmp_path)
    with pytest.raises(UserError, match=r"sandbox\.sessions is 4.*16 sessions"):
        solve(settings(), engines, small, CONTEST, problems=asked, model=tmp_path, out=tmp_path / "o.parquet", work=tmp_path)
