"""The stage that replays recipes: what it tells of each, which pools it refuses, and pools from elsewhere with their published numbers."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.types import Candidate, Problem
from components.replay import figures, pool
from components.replay.pools import aimo1_runs, qwen_math
from components.replay.recipe import Recipe, not_replayed
from components.replay.simulation import simulate
from components.replay.stage import Replay, ordered, replay
from tests.replay_fixtures import NUMBERS, PLAIN, RECIPES, recipe, small_pool
from tests.row_fixtures import attempt, problem

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")


# ---- the stage ----------------------------------------------------------------------------------------------------------------------


def config(recipes: dict[str, dict[str, Any]], **fields: Any) -> Replay:
    given = {
        "num_samples": 50,
        "seed": 1,
        "order": "as_stored",
        "k_values": [1, 4],
        "confidence": 0.95,
        "resamples": 200,
        "recipes": recipes,
    }
    return Replay.model_validate({**given, **fields})


def stored(tmp_path: Path, candidates: Sequence[Candidate], names: Sequence[str] = ("a", "b", "c")) -> tuple[Path, Path]:
    rows.write(tmp_path / "candidates.parquet", candidates, Candidate)
    rows.write(tmp_path / "problems.parquet", [problem(name) for name in names], Problem)
    return tmp_path / "candidates.parquet", tmp_path / "problems.parquet"


def six(name: str, answers: Sequence[int | None], **fields: object) -> list[Candidate]:
    return [attempt(name, index, answer, seconds=float(index + 1), **fields) for index, answer in enumerate(answers)]


TWO = [*six("a", [7, 7, 7, 7, 3, None]), *six("b", [3, 7, 3, 7, 5, 6])]


def test_the_stage_tells_every_recipe_and_why_one_cannot_be_replayed(tmp_path: Path) -> None:
    candidates, problems = stored(tmp_path, [attempt("a", 6, None, finish_reason="cancelled"), *TWO])
    recipes = {
        "first": PLAIN,
        "agree": RECIPES["agree"],
        "branches": {**PLAIN, "plan": "branch"},
        "too many": {**PLAIN, "plan": {"any": 7}},
        "other prompt": {**PLAIN, "plan": {"tir": 1}},
        "entropy": RECIPES["entropy"],
        "reader": {**PLAIN, "vote": "genselect"},
    }
    results = replay(config(recipes), NUMBERS, candidates=candidates, problems=problems, page=tmp_path / "page.html")
    told = {name: row["not_replayed"] for name, row in results["recipes"].items() if "not_replayed" in row}
    assert list(results["recipes"]) == list(recipes)
    assert "plan 'branch' generates differently" in told["branches"]
    assert "too few attempts on 2 of the pool's 2 problems (first: a)" in told["too many"] and "1 tir" in told["other prompt"]
    assert "no entropies" in told["entropy"] and "weigh each candidate alone" in told["reader"]
    assert results["recipes"]["first"]["accuracy"]["mean"] == 0.5  # of the tie in b the answer that was first, 3, wins
    assert results["recipes"]["agree"]["seconds"]["mean"] == 5.0  # 4 s and 6 s
    assert results["recipes"]["agree"]["tokens"]["mean"] == pytest.approx((40 + 10 * (4 / 5 + 4 / 6) + 60) / 2)
    assert (results["pool"]["num_cancelled"], results["pool"]["num_without_attempts"]) == (1, 1)
    page = (tmp_path / "page.html").read_text()
    assert "generates differently" in page and "1 attempts (7.7 %) were cancelled" in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_the_same_pool_gives_the_same_page(tmp_path: Path) -> None:
    candidates, problems = stored(tmp_path, TWO)
    asked = config({"first": PLAIN, "agree": RECIPES["agree"], "clock": RECIPES["equal clock"]})
    told = [replay(asked, NUMBERS, candidates=candidates, problems=problems, page=tmp_path / f"{n}.html") for n in range(2)]
    assert told[0] == told[1]
    assert (tmp_path / "0.html").read_bytes() == (tmp_path / "1.html").read_bytes()


def test_under_a_clock_it_matters_whether_the_hard_problems_stand_first() -> None:
    easy, hard = six("easy", [7] * 6), [c.model_copy(update={"seconds": 50.0 + c.index}) for c in six("hard", [None] * 5 + [7])]
    problems = [pool.attempts(problem(cs[0].problem), cs, ["majority"], NUMBERS, Path("p")) for cs in (easy, hard)]
    assert [a.problem.id for a in ordered(problems, "hard_first")] == ["hard", "easy"]
    by = {"c": recipe({**PLAIN, "time_budget": {"kind": "fixed", "exam_s": 54, "question_s": 54}})}
    right = {order: simulate(ordered(problems, order), by, 5, 1)["c"].correct.mean() for order in ("hard_first", "hard_last")}
    assert right == {"hard_first": 0.0, "hard_last": 0.5}


@pytest.mark.parametrize(
    ("candidates", "told"),
    [
        ([], "holds no finished attempt"),
        ([attempt("a", 0, None, finish_reason="cancelled")], "holds no finished attempt"),
        ([attempt("x", 0)], "problem 'x' is not in"),
        ([attempt("a", 0), attempt("b", 0), attempt("a", 1)], "problem 'a' is in two pieces"),
    ],
)
def test_a_pool_that_cannot_be_read_is_told(tmp_path: Path, candidates: list[Candidate], told: str) -> None:
    with pytest.raises(UserError, match=told):
        pool.read(*stored(tmp_path, candidates), ["majority"], NUMBERS)


def test_a_problem_without_an_answer_is_told(tmp_path: Path) -> None:
    rows.write(tmp_path / "c.parquet", [attempt("a", 0)], Candidate)
    rows.write(tmp_path / "p.parquet", [problem("a", None)], Problem)
    with pytest.raises(UserError, match="problem 'a' has no answer"):
        pool.read(tmp_path / "c.parquet", tmp_path / "p.parquet", ["majority"], NUMBERS)


def test_a_mistake_in_a_recipe_is_told_by_its_place(tmp_path: Path) -> None:
    class Section(Config, section="replay"):
        recipes: dict[str, Recipe]

    with pytest.raises(UserError, match=r"replay.*of_frist"):
        Section.check(
            {"replay": {"recipes": {"x": {**PLAIN, "early_stopping": [{"kind": "agree", "of_frist": 5, "equal": 4}]}}}},
            Path("params.yaml"),
            None,
        )


# ---- pools from elsewhere -----------------------------------------------------------------------------------------------------------


def test_letters_and_expressions_of_a_foreign_pool_abstain_and_golds_that_are_none_are_left_out(tmp_path: Path) -> None:
    asked = [
        {"idx": 1, "question": "q", "gt": "42", "code": ["x" * 40, "y" * 400, "z", "w"], "pred": ["42", "B", "\\frac{1}{2}", ""]},
        {"idx": 2, "question": "q", "gt": "\\sqrt{2}", "code": ["x"], "pred": ["1"]},
    ]
    (tmp_path / "math_cot_100.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    found = qwen_math.read(tmp_path)
    assert [p.id for p in found.problems] == ["math-1"] and sum(found.dropped.values()) == 1
    assert [(c.answer, c.abstained) for c in found.candidates] == [
        (42, None), (None, "not an integer"), (None, "not an integer"), (None, "no box"),
    ]  # fmt: skip
    assert [c.num_tokens for c in found.candidates] == [10, 100, 1, 1]


def test_a_run_of_the_first_contest_becomes_attempts_and_what_never_began_does_not(tmp_path: Path) -> None:
    def sample(status: str, boxed: list[str] | None, text: str | None, code: str | None) -> dict[str, Any]:
        return {"run": "r1", "problem_id": "p", "status": status, "boxed": boxed, "text_answer": text, "code_runs": int(code is not None),
                "last_code_result": code, "chars": 400}  # fmt: skip

    lines = [
        sample("ok", ["1052"], "1052", None),
        sample("ok", [], "", "52"),
        sample("ok", [], "<long:122>", None),
        sample("skipped", None, None, None),
        sample("unfinished", None, None, "7"),
    ]
    with gzip.open(tmp_path / "samples.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "runs.jsonl").write_text('{"run": "r1", "group": "g"}\n')
    (tmp_path / "aimo1_reference.csv").write_text("id,problem,answer\np,What?,52\n")
    found = aimo1_runs.read(tmp_path)
    assert [(p.id, p.group, p.answer) for p in found.problems] == [("p-g", "p", 52)]
    assert [(c.answer, c.finish_reason) for c in found.candidates] == [(52, "stop"), (52, "stop"), (None, "stop"), (None, "cancelled")]
    assert found.dropped == {"samples that never began": 1}
    with pytest.raises(UserError, match="no such file"):
        qwen_math.read(tmp_path)


def test_a_foreign_pool_is_brought_in_by_command(tmp_path: Path) -> None:
    row = {"idx": 1, "question": "q", "gt": "42", "code": ["x"], "pred": ["42"]}
    (tmp_path / "math_cot_100.jsonl").write_text(json.dumps(row) + "\n")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "components.replay.pools",
        "qwen_math",
        "--source",
        tmp_path,
        "--out",
        tmp_path / "out",
    ]
    subprocess.run(command, check=True)
    asked, given = tmp_path / "out/problems.parquet", tmp_path / "out/candidates.parquet"
    assert [a.gold for a in pool.read(given, asked, ["majority"], NUMBERS).problems] == [42]
    (tmp_path / "math_cot_100.jsonl").write_text("not a record")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("error: ") and "line 1: not JSON" in refused.stderr


def published(folder: str, reader: Any, tmp_path: Path, recipes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of a stage on a published pool."""
    if not (DATA / folder).is_dir():
        pytest.skip("no folder of public data sets here")
    found = reader.read(DATA / folder)
    rows.write(tmp_path / "candidates.parquet", found.candidates, Candidate)
    rows.write(tmp_path / "problems.parquet", found.problems, Problem)
    where = {"candidates": tmp_path / "candidates.parquet", "problems": tmp_path / "problems.parquet", "page": tmp_path / "page.html"}
    return replay(config(recipes, k_values=[1, 8]), NUMBERS, **where)


def test_the_published_samples_of_qwen_math_give_their_published_numbers(tmp_path: Path) -> None:
    eight = {**PLAIN, "plan": {"any": 8}}
    results = published(
        "samples_qwen_rm_maj8",
        qwen_math,
        tmp_path,
        {"all": eight, "identical": {**eight, "early_stopping": [{"kind": "identical", "equal": 3}]}},
    )
    assert (results["pool"]["problems"], results["pool"]["attempts"]) == (71, 568)
    assert (
        0.88 < results["pool"]["average"]["mean"] < results["recipes"]["all"]["accuracy"]["mean"] < results["pool"]["at"][8]["pass"]["mean"]
    )
    assert results["recipes"]["identical"]["tokens"]["mean"] < results["recipes"]["all"]["tokens"]["mean"]
    assert results["recipes"]["identical"]["seconds"]["mean"] < 0.8 * results["recipes"]["all"]["seconds"]["mean"]


def test_the_published_runs_on_the_first_contest_show_a_wide_loss_of_selection(tmp_path: Path) -> None:
    results = published("aimo1_tir_votes", aimo1_runs, tmp_path, {"all": {**PLAIN, "plan": {"any": 8}}})
    assert (results["pool"]["problems"], results["pool"]["groups"], results["pool"]["attempts"]) == (35, 5, 62637)
    assert results["pool"]["num_cancelled"] == 801
    assert results["recipes"]["all"]["selection_loss"]["mean"] > 0.25


def test_a_recipe_whose_plan_fits_is_replayed() -> None:
    assert not_replayed(recipe(PLAIN), small_pool()) is None


def test_lines_end_where_problems_have_too_few_attempts() -> None:
    """Else a line falls because only a few problems are left on it."""
    share = {"mean": 0.5, "low": 0.4, "high": 0.6}
    at = {k: {"missing": missing, "pass": share, "majority": share} for k, missing in ((1, 0), (2, 0), (4, 3))}
    told = {"pool": {"at": at, "tokens_per_attempt": 100.0}, "recipes": {"none": {"not_replayed": "too few"}}}
    few, all_there = (figures.cost({**told, "pool": {**told["pool"], "at": ats}}) for ats in (at, {**at, 4: {**at[4], "missing": 0}}))
    assert few.count("<use") < all_there.count("<use")
