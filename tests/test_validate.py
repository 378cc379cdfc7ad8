"""Validate: bad rows are named by their ids, critical failures stop, warnings do not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Dropped, Example, Message, Preference, Problem, Prompt, Row
from components.lib.answers import Contest
from components.lib.pinned import digest
from components.validate import dataset_checks
from components.validate.check import BATCH
from components.validate.overlap import digest as fingerprint
from components.validate.stage import Validate, validate
from tests.row_fixtures import problem

EXAM = Path("data/problems/exam.parquet")
CONTEST = Contest(low=0, high=999, modulus=1000)
LIMITS = {
    "max_statement_chars": 40,
    "max_share_dropped": 0.5,
    "max_share_unanswered": 0.0,
    "max_reason_share": 0.3,
    "champion": None,
    "max_drift": 0.2,
}
PROBLEMS = Validate.model_validate({"suite": "problems", "kinds": [], "min_rows": 2, **LIMITS})
TIR = PROBLEMS.model_copy(update={"suite": "examples", "kinds": ["tir"]})
DPO = PROBLEMS.model_copy(update={"suite": "preferences"})
GRPO = PROBLEMS.model_copy(update={"suite": "prompts"})
STATS = {"rows": 2, "sources": {"a": 2}, "licences": {"Apache-2.0": 2}, "characters": {"16-31": 2}, "answers": {"0-99": 2}}
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


def written(name: str, made: Sequence[Row], stats: dict[str, Any] | None = None, dropped: Sequence[str] = ()) -> Path:
    """A set's folder as compose leaves it, beside an exam."""
    folder = Path("data/sft/set")
    rows.write(folder / f"{name}.parquet", made, type(made[0]))
    left = [Dropped(id=f"d{number}", statement="", reason=reason, detail="") for number, reason in enumerate(dropped)]
    rows.write(folder / "dropped.parquet", left, Dropped)
    (folder / "stats.json").write_text(json.dumps({**STATS, "rows": len(made), **(stats or {})}))
    rows.write(EXAM, SOUND["exam"], Problem)
    return folder


def messages(turn: Sequence[tuple[str, str, bool]]) -> tuple[Message, ...]:
    return tuple(Message.model_validate({"role": role, "content": content, "loss": loss}) for role, content, loss in turn)


def examples(*turns: Sequence[tuple[str, str, bool]], kind: str = "tir", of: str = "p", **others: Any) -> Path:
    made = [
        Example.model_validate({"id": f"{kind}/p/{number}", "problem": of, "candidate": number, "kind": kind, "messages": messages(turn)})
        for number, turn in enumerate(turns)
    ]
    return written("examples", made, **others)


def turn(number: int, *, tool_loss: bool = False, loss: bool = True) -> list[tuple[str, str, bool]]:
    return [
        ("user", f"What is {number} + 1?", False),
        ("assistant", f"print({number} + 1)", loss),
        ("tool", f"{number + 1}", tool_loss),
        ("assistant", f"\\boxed{{{number + 1}}}", loss),
    ]


def failure(data: Path, config: Validate) -> str:
    with pytest.raises(UserError) as caught:
        validate(config, CONTEST, data=data, exam=EXAM, out=Path("out.json"))
    assert not Path("out.json").exists()
    return str(caught.value)


def results(path: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["column"], one["expectation"]): one for one in json.loads(Path(path).read_text())["expectations"]}


def test_sound_problems_pass_and_the_same_problems_give_the_same_bytes() -> None:
    data = problems()
    assert validate(PROBLEMS, CONTEST, data=data, exam=EXAM, out=Path("one.json")) == {"expectations": 15, "warnings": 0}
    validate(PROBLEMS, CONTEST, data=data, exam=EXAM, out=Path("two.json"))
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
        (problem("t1", statement="Twice the id?"), "id_seen"),
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
    assert validate(PROBLEMS, CONTEST, data=data, exam=EXAM, out=Path("out.json"))["warnings"] == 2
    found = results("out.json")
    assert found["same_statement_as", "expect_column_values_to_be_in_set"]["first"] == [{"id": "t3", "value": "t1"}]
    assert not found["share_dropped", "expect_column_values_to_be_between"]["success"]


def test_sound_examples_pass() -> None:
    assert validate(TIR, CONTEST, data=examples(turn(1), turn(2)), exam=EXAM, out=Path("out.json")) == {"expectations": 12, "warnings": 0}


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (turn(3, tool_loss=True), "loss_outside_assistant"),
        (turn(3, loss=False), "num_loss_messages"),
        (turn(3)[:3], "last_role"),
        ([part for part in turn(3) if part[0] != "tool"], "code_ran"),
        (turn(3)[1:], "question_chars"),
        ([], "last_role"),
        ([("user", "Now: What is 0 + 7?", True), *turn(3)[1:]], "loss_outside_assistant"),
    ],
)
def test_a_bad_example_stops_the_chain_and_is_named(bad: list[tuple[str, str, bool]], column: str) -> None:
    said = failure(examples(turn(1), turn(2), bad), TIR)
    assert "tir/p/2 (" in next(line for line in said.splitlines() if f"'{column}'" in line)


def test_a_kind_that_does_not_belong_stops_the_chain() -> None:
    assert "cot/p/0 (cot), cot/p/1 (cot)" in failure(examples(turn(1), turn(2), kind="cot"), TIR)


def test_a_second_row_of_one_id_stops_the_chain_and_one_of_the_same_text_is_told() -> None:
    twice = [Example.model_validate({"id": "tir/p/0", "problem": "p", "candidate": 0, "kind": "tir", "messages": messages(turn(1))})] * 2
    assert "'id_seen': 1 of 2 rows: tir/p/0 (again)" in failure(written("examples", twice), TIR)
    validate(TIR, CONTEST, data=examples(turn(1), turn(1)), exam=EXAM, out=Path("out.json"))
    assert results("out.json")["same_text_as", "expect_column_values_to_be_in_set"]["first"] == [{"id": "tir/p/1", "value": "tir/p/0"}]


def test_a_row_about_an_exam_problem_stops_the_chain_under_its_own_name_or_another() -> None:
    assert "'shared_with_exam': 2 of 2 rows: tir/p/0 (id), tir/p/1 (id)" in failure(examples(turn(1), turn(2), of="e1"), TIR)
    asked = "What is the sum of the first 7 primes?"
    data = examples(turn(1), [("user", f"{asked.upper()}\nUse Python.", False), *turn(2)[1:]])
    rows.write(EXAM, [problem("e1", statement=f"Hello.\n{asked}")], Problem)
    said = failure(data, TIR.model_copy(update={"max_statement_chars": 100}))
    assert "'shared_with_exam': 1 of 2 rows: tir/p/1 (statement)" in said


def test_the_share_of_each_reason_is_looked_at() -> None:
    data = examples(turn(1), turn(2), dropped=["wrong answer", "no code"])
    assert validate(TIR, CONTEST, data=data, exam=EXAM, out=Path("out.json"))["warnings"] == 0
    data = examples(turn(1), turn(2), dropped=["wrong answer", "wrong answer"])
    assert validate(TIR, CONTEST, data=data, exam=EXAM, out=Path("out.json"))["warnings"] == 1
    assert results("out.json")["share", "expect_column_values_to_be_between"]["first"] == [{"id": "wrong answer", "value": 0.5}]


@pytest.mark.parametrize(
    ("stats", "warned"),
    [
        ({}, set()),
        ({"sources": {"a": 1, "b": 1}}, {"drift_of_sources"}),
        ({"characters": {"64-127": 2}}, {"drift_of_characters"}),
        ({"answers": {"0-99": 1, "900-999": 1}}, {"drift_of_answers"}),
        ({"answers": {"0-99": 9, "900-999": 1}}, set()),
    ],
)
def test_drift_from_the_champion_s_set_is_a_warning_by_name(stats: dict[str, Any], warned: set[str]) -> None:
    champion = Path("champion.json")
    champion.write_text(json.dumps({**STATS, "rows": 10}))
    config = Validate.model_validate({**TIR.model_dump(), "champion": {"path": str(champion), "sha256": digest(champion)}})
    validate(config, CONTEST, data=examples(turn(1), turn(2), stats=stats), exam=EXAM, out=Path("out.json"))
    assert {column for (column, _), one in results("out.json").items() if not one["success"]} == warned


def test_drift_is_the_share_of_rows_that_would_have_to_move() -> None:
    rest = {"characters": {}, "answers": {}}
    ours, theirs = {**rest, "sources": {"a": 6, "b": 4}}, {**rest, "sources": {"a": 50, "b": 30, "c": 20}}
    assert dataset_checks.drift(ours, theirs)["sources"] == pytest.approx(0.2)


def test_a_set_without_its_facts_is_said() -> None:
    data = examples(turn(1), turn(2))
    (data / "stats.json").write_text("{}")
    with pytest.raises(UserError, match=r"stats.json: not what compose writes"):
        validate(TIR, CONTEST, data=data, exam=EXAM, out=Path("out.json"))


def pair(number: int, chosen: Any = None, rejected: Any = None) -> Preference:
    asked, *answer = messages(turn(number))
    sides = {"chosen": messages(chosen) if chosen else tuple(answer), "rejected": messages(rejected) if rejected else tuple(answer[-1:])}
    return Preference.model_validate(
        {"id": f"dpo/{number}", "problem": "p", "messages": (asked,), **sides, "candidates": (0, 1), "similarity": None}
    )


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (pair(3, rejected=turn(3)[1:]), "completions_differ"),
        (pair(3, chosen=turn(3, tool_loss=True)[1:]), "loss_outside_assistant"),
        (pair(3, rejected=turn(3, tool_loss=True)[1:]), "rejected_loss_outside_assistant"),
        (pair(3, rejected=turn(3, loss=False)[1:]), "rejected_num_loss_messages"),
        (pair(3, rejected=turn(3)[1:3]), "rejected_last_role"),
        (pair(3).model_copy(update={"problem": "e1"}), "shared_with_exam"),
        (pair(3).model_copy(update={"messages": ()}), "question_chars"),
    ],
)
def test_a_bad_pair_stops_the_chain_and_is_named(bad: Preference, column: str) -> None:
    said = failure(written("preferences", [pair(1), pair(2), bad]), DPO)
    assert "dpo/3 (" in next(line for line in said.splitlines() if f"'{column}'" in line)


def prompt(number: int, **fields: Any) -> Prompt:
    asked = messages(turn(number)[:1])
    return Prompt.model_validate({"id": f"grpo/{number}", "problem": "p", "messages": asked, "gold": number + 1, **fields})


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (prompt(3, gold=1000), "gold"),
        (prompt(3, gold=-1), "gold"),
        (prompt(3, messages=messages(turn(3))), "last_role"),
        (prompt(3, messages=messages([("user", "What is 9?", True)])), "num_loss_messages"),
        (prompt(3, problem="e1"), "shared_with_exam"),
    ],
)
def test_a_bad_prompt_stops_the_chain_and_is_named(bad: Prompt, column: str) -> None:
    said = failure(written("prompts", [prompt(1), prompt(2), bad]), GRPO)
    assert "grpo/3 (" in next(line for line in said.splitlines() if f"'{column}'" in line)


def test_sound_pairs_and_prompts_pass() -> None:
    assert validate(DPO, CONTEST, data=written("preferences", [pair(1), pair(2)]), exam=EXAM, out=Path("pairs.json"))["warnings"] == 0
    assert validate(GRPO, CONTEST, data=written("prompts", [prompt(1), prompt(2)]), exam=EXAM, out=Path("prompts.json"))["warnings"] == 0


def test_every_row_of_a_set_of_several_batches_is_checked() -> None:
    golds = {3: 1000, BATCH + 3: 2000, 2 * BATCH + 1: 1001}
    made = [prompt(number, gold=golds.get(number, 7)) for number in range(2 * BATCH + 2)]
    said = failure(written("prompts", made), GRPO)
    shown = ", ".join(sorted(f"grpo/{number} ({gold})" for number, gold in golds.items()))
    assert f"'gold': 3 of {2 * BATCH + 2} rows: {shown}" in said


def test_two_hundred_thousand_fingerprints_are_told_apart() -> None:
    assert len({fingerprint(str(number)) for number in range(200_000)}) == 200_000
