"""What a model was trained on goes with it from the set's stats to the exam that is refused."""

from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Problem
from components.lib import model_contamination
from components.lib.engine.config import Engines
from components.quantize import worker
from components.solve.stage import solve
from tests import compose_fixtures
from tests.question_fixtures import CAPACITY, CONTEST, HOSTS, SANDBOX, fixed, settings
from tests.row_fixtures import candidate, problem


def test_a_model_trained_on_a_benchmark_is_refused_its_exam_and_so_is_a_smaller_copy(tmp_path: Path) -> None:
    asked_too: list[tuple[str, ...]] = [(), ("aime",), ("aime", "olympic")]
    problems = [problem(f"p{i}").model_copy(update={"contaminated_by": names}) for i, names in enumerate(asked_too)]
    made = compose_fixtures.run(compose_fixtures.config("cot"), tmp_path, problems, [candidate(name=one.id) for one in problems])
    assert made.card["stats"]["contaminated_by"] == {"aime": 2, "olympic": 1}

    for name in ("base", "cot", "tir", "awq"):
        (tmp_path / name).mkdir()
    model_contamination.inherit(tmp_path / "base", tmp_path / "out/stats.json", tmp_path / "cot")
    model_contamination.inherit(tmp_path / "cot", tmp_path / "out/stats.json", tmp_path / "tir")
    worker.copy_tokenizer(tmp_path / "tir", tmp_path / "awq")
    assert [model_contamination.of(tmp_path / name) for name in ("base", "cot", "awq")] == [
        {},
        {"aime": 2, "olympic": 1},
        {"aime": 4, "olympic": 2},
    ]

    exam = tmp_path / "exam.parquet"
    rows.write(exam, [problem("e1").model_copy(update={"source": "olympic"})], Problem)
    with pytest.raises(UserError, match=r"exam.parquet: .*/awq was trained on problems of 'olympic' \(2 rows\), so"):
        solve_on(exam, tmp_path / "awq")
    practice = problem("e3").model_copy(update={"source": "olympic", "contaminated_by": ("olympic",)})
    model_contamination.refuse(tmp_path / "awq", [problem("e2"), practice], exam)  # another source; a tolerated row that was held out


def solve_on(exam: Path, model: Path) -> None:
    folder = exam.parent
    solve(
        settings(plan=fixed(cot=1)), Engines.load(), SANDBOX, CONTEST, HOSTS, CAPACITY,
        problems=exam, model=model, out=folder / "out.parquet", questions=folder / "questions.parquet", work=folder,
    )  # fmt: skip


def test_facts_that_do_not_say_are_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"stats.json: no such file; compose writes it"):
        model_contamination.inherit(tmp_path, tmp_path / "stats.json", tmp_path)
    (tmp_path / "stats.json").write_text('{"rows": 1}')
    with pytest.raises(UserError, match=r"stats.json: does not say `contaminated_by`"):
        model_contamination.inherit(tmp_path, tmp_path / "stats.json", tmp_path)
