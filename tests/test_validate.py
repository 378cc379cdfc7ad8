"""Validate: bad rows are named by their ids, critical failures stop, warnings do not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Dropped, Example, Message, Problem
from components.lib.answers import Contest
from components.validate.stage import Validate, validate
from tests.making import problem

CONTEST = Contest(low=0, high=999, modulus=1000)
PROBLEMS = Validate(suite="problems", kinds=[], min_rows=2, max_statement_chars=40, max_share_dropped=0.5)
TIR = PROBLEMS.model_copy(update={"suite": "examples", "kinds": ["tir"]})
SOUND = {
    "train": [problem("t1", statement="What is 1 + 6?"), problem("t2", statement="What is 2 + 5?")],
    "practice": [problem("p1", statement="What is 3 + 4?")],
    "exam": [problem("e1", statement="What is 0 + 7?")],
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed gate leaves its results under .aimo/ of the working folder."""
    monkeypatch.chdir(tmp_path)


def problems(*train: Problem, num_dropped: int = 0, **sets: list[Problem]) -> Path:
    folder = Path("data/problems")
    for name, held in {**SOUND, **sets, "train": [*SOUND["train"], *train]}.items():
        rows.write(folder / f"{name}.parquet", held, Problem)
    left = [Dropped(id=f"d{number}", statement="", reason="duplicate", detail="") for number in range(num_dropped)]
    rows.write(folder / "dropped.parquet", left, Dropped)
    return folder


def examples(*messages: Sequence[tuple[str, str, bool]], kind: str = "tir") -> Path:
    folder = Path("data/sft/tir")
    made = [
        Example.model_validate(
            {
                "id": f"{kind}/p/{number}",
                "problem": "p",
                "candidate": number,
                "kind": kind,
                "messages": tuple(Message.model_validate({"role": role, "content": content, "loss": loss}) for role, content, loss in turn),
            }
        )
        for number, turn in enumerate(messages)
    ]
    rows.write(folder / "examples.parquet", made, Example)
    rows.write(folder / "dropped.parquet", [], Dropped)
    return folder


def turn(number: int, *, tool_loss: bool = False, loss: bool = True) -> list[tuple[str, str, bool]]:
    return [
        ("user", f"What is {number} + 1?", False),
        ("assistant", f"print({number} + 1)", loss),
        ("tool", f"{number + 1}", tool_loss),
        ("assistant", f"\\boxed{{{number + 1}}}", loss),
    ]


def failure(data: Path, config: Validate) -> str:
    with pytest.raises(UserError) as caught:
        validate(config, CONTEST, data=data, out=Path("out.json"))
    assert not Path("out.json").exists()
    return str(caught.value)


def results(path: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["column"], one["expectation"]): one for one in json.loads(Path(path).read_text())["expectations"]}


def test_sound_problems_pass_and_the_same_problems_give_the_same_bytes() -> None:
    data = problems()
    assert validate(PROBLEMS, CONTEST, data=data, out=Path("one.json")) == {"expectations": 15, "warnings": 0}
    validate(PROBLEMS, CONTEST, data=data, out=Path("two.json"))
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert json.loads(Path("one.json").read_text())["passed"]


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (problem("bad", answer=1000), "answer"),
        (problem("bad", answer=-1), "answer"),
        (problem("bad", answer=None), "answer"),
        (problem("bad", statement=""), "statement"),
        (problem("bad", statement=" \n "), "statement"),
        (problem("bad", statement="why " * 11), "statement"),
        (problem("bad").model_copy(update={"licence": ""}), "licence"),
        (problem("t1", statement="Twice the id?"), "id"),
        (problem("bad", statement="What is  0 + 7?"), "shared_with_exam"),
        (problem("bad", statement="Said otherwise").model_copy(update={"group": "e1"}), "shared_with_exam"),
        (problem("p1", statement="Also in practice").model_copy(update={"group": "x"}), "shared_with_train"),
    ],
)
def test_a_bad_problem_stops_the_chain_and_is_named(bad: Problem, column: str) -> None:
    said = failure(problems(bad), PROBLEMS)
    line = next(line for line in said.splitlines() if f"'{column}'" in line)
    assert f"{bad.id} (" in line
    assert ".aimo/validation/problems.json" in said
    assert any(not one["success"] for (name, _), one in results(".aimo/validation/problems.json").items() if name == column)


def test_too_few_training_problems_stop_the_chain() -> None:
    assert "'train': 1 of 1 rows: problems (2)" in failure(problems(), PROBLEMS.model_copy(update={"min_rows": 3}))


def test_a_warning_is_written_down_and_stops_nothing() -> None:
    data = problems(problem("t3", statement="what is 1 + 6?").model_copy(update={"answer": 8}), num_dropped=20)
    assert validate(PROBLEMS, CONTEST, data=data, out=Path("out.json"))["warnings"] == 2
    found = results("out.json")
    assert [row["id"] for row in found["wording", "expect_column_values_to_be_unique"]["first"]] == ["t1", "t3"]
    assert not found["share_dropped", "expect_column_values_to_be_between"]["success"]


def test_sound_examples_pass() -> None:
    assert validate(TIR, CONTEST, data=examples(turn(1), turn(2)), out=Path("out.json")) == {"expectations": 10, "warnings": 0}


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (turn(3, tool_loss=True), "loss_elsewhere"),
        (turn(3, loss=False), "num_loss"),
        (turn(3)[:3], "last_role"),
        ([part for part in turn(3) if part[0] != "tool"], "code_ran"),
        (turn(3)[1:], "question_chars"),
        ([], "last_role"),
    ],
)
def test_a_bad_example_stops_the_chain_and_is_named(bad: list[tuple[str, str, bool]], column: str) -> None:
    said = failure(examples(turn(1), turn(2), bad), TIR)
    assert "tir/p/2 (" in next(line for line in said.splitlines() if f"'{column}'" in line)


def test_a_kind_that_does_not_belong_stops_the_chain() -> None:
    assert "cot/p/0 (cot), cot/p/1 (cot)" in failure(examples(turn(1), turn(2), kind="cot"), TIR)
