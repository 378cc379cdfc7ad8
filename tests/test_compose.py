"""Training rows: what is accepted, what is refused and why, and where loss lies."""

from pathlib import Path

import pytest

from components.compose import selections, solutions
from components.compose.stage import Compose, compose
from components.core import rows
from components.core.types import Candidate, Dropped, Example, Problem
from tests.making import candidate, problem, run


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"answer": 8}, "wrong answer"),
        ({"answer": None, "abstained": "no box"}, "no answer: no box"),
        ({"runs": ()}, "no code"),
        ({"runs": (run(),) * 5}, "more than 4 code blocks"),
        ({"runs": (run(status="error"),)}, "last code failed"),
        ({"runs": (run(status="error"), run())}, None),
        ({"text": "<think>\n7 it is\n</think>\n<tool_call>\nprint(7)\n</tool_call>"}, "answer before code"),
        ({"text": "<think>\n17 or 7.5\n</think>\n<tool_call>\nprint(7)\n</tool_call>"}, None),  # 7 stands there as a substring only
    ],
)
def test_what_a_tool_solution_is_refused_for(fields: dict[str, object], reason: str | None) -> None:
    assert solutions.refuse_tir(problem(answer=7), candidate(**{"runs": (run(),), **fields}), max_runs=4) == reason  # type: ignore[arg-type]


def test_tool_output_carries_no_loss_and_the_pieces_are_the_text() -> None:
    tried = candidate(runs=(run("print(x)", "NameError: name 'x' is not defined", "error"), run()))
    example = solutions.example("tir", problem(), tried)
    asked, *turn = example.messages
    assert "".join(message.content for message in turn) == tried.text
    assert [(message.role, message.loss) for message in turn] == [("assistant", True), ("tool", False)] * 2 + [("assistant", True)]
    assert not asked.loss and asked.content.startswith("What is 3 + 4?")


def test_selections_hold_a_right_and_a_wrong_one_and_name_a_right_one() -> None:
    pool = [candidate(answer, index=index, runs=(run(output=str(answer)),)) for index, answer in enumerate([7, 7, 7, 7, 7, 3, 4])]
    made = selections.instances(problem(), pool, "genselect", wanted=4, max_shown=4, seed=1)
    assert 1 <= len(made) <= 4 and len({example.messages[0].content for example in made}) == len(made)
    for example in made:
        told = example.messages[1].content
        lines = [line for line in told.split("\n") if line.endswith(("good", "bad"))]
        chosen = int(told.rsplit("Judgment: ", 1)[1])
        assert 2 <= len(lines) <= 4
        assert {line.rsplit(" ", 1)[1] for line in lines} == {"good", "bad"}
        assert lines[chosen] == f"{chosen}: 7 good"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([7, 7, 7, 7], "none is wrong"),
        ([1, 2, 3, 3], "none is right"),
        ([7, 1, 2], "fewer than four readable candidates"),
        ([7, 1, 2, None], "fewer than four readable candidates"),
        ([7, 1, 2, 3], None),
    ],
)
def test_problems_without_a_choice_make_no_selection(answers: list[int | None], reason: str | None) -> None:
    assert selections.refuse(problem(), [candidate(answer, index=index) for index, answer in enumerate(answers)]) == reason


def test_the_stage_keeps_or_drops_every_candidate_of_its_kind(tmp_path: Path) -> None:
    problems = [problem(f"p{i}", answer=i) for i in range(6)]
    pool = [candidate(i if kind else 99, f"p{i}", index=kind) for i in range(6) for kind in (0, 1)]
    rows.write(tmp_path / "problems.parquet", problems, Problem)
    rows.write(tmp_path / "candidates.parquet", pool, Candidate)
    config = Compose.model_validate({"seed": 1, "rows": {"kind": "cot", "max_rows": 4}})
    measured = compose(config, candidates=tmp_path / "candidates.parquet", problems=tmp_path / "problems.parquet", out=tmp_path / "out")
    kept = list(rows.read(tmp_path / "out" / "examples.parquet", Example))
    left = list(rows.read(tmp_path / "out" / "dropped.parquet", Dropped))
    assert len(kept) == 4 == measured["rows"]
    assert measured["dropped"] == {"wrong answer": 6, "more than max_rows": 2}
    assert {row.id for row in kept} | {row.id for row in left} == {f"cot/p{i}/{kind}" for i in range(6) for kind in (0, 1)}
