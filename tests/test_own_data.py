"""Data of one's own, followed from its source to a training row, on real stages."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from components.collect.source import Collect
from components.collect.stage import collect
from components.compose.preflight import check
from components.core import rows
from components.core.errors import UserError
from components.core.preflight import Facts
from components.core.types import Candidate, Dropped, Example, Problem
from components.curate.stage import CurateCluster, curate
from components.lib.code_budget import CodeBudget
from components.lib.engine.config import EngineHosts, Engines
from components.lib.rules.time_budget import QuestionBudget
from components.lib.tool_syntax import OPENMATH, output_block
from components.validate.stage import Validate, validate
from tests.collect_fixtures import CONTEST, entry, jsonl, one_file
from tests.compose_fixtures import Composed, config, run
from tests.question_fixtures import fixed, run_question, settings
from tests.row_fixtures import candidate, problem, sources
from tests.test_curate_stage import CONFIG

ROOT = Path(__file__).parents[1]
RAN = f"Count them.\n{OPENMATH.begin}\nprint(30 + 5)\n{OPENMATH.end}{output_block('35')}So \\boxed{{35}}."
TEXTS = [
    {"problem": "How many hens lay 35 eggs, one each?", "answer": 35, "written": "One each: \\boxed{35}."},
    {"problem": "How many hens lay 35 eggs, one each?", "answer": 35, "written": RAN},
    {"problem": "A cart has four wheels; how many have six carts?", "answer": 24, "written": "I say \\boxed{23}."},
    {"problem": "Which number is twice eleven?", "answer": 22, "written": None},
    {"problem": "Which number is thrice eleven?", "answer": 33, "written": "<tool_call>\nprint(33)\n</tool_call>\n\\boxed{33}"},
]


def chat(*messages: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(7 * 8)"}}\n</tool_call>'
CHATS = [
    chat(("system", "Be brief."), ("user", "What is six times seven?"), ("assistant", "It is \\boxed{42}.")),
    chat(("user", "What is seven times eight?"), ("assistant", CALL), ("tool", "56\n"), ("assistant", "So \\boxed{56}.")),
    chat(("user", "Name a city."), ("assistant", "Rome."), ("user", "Why \\boxed{1}?"), ("assistant", "\\boxed{1}")),
    {"messages": "no list"},
]


def own(path: Path, **fields: Any) -> Collect:
    return one_file(path, "own", **{"id": None, **fields})


def texts(path: Path) -> Collect:
    return own(path, solution="written", one_per_statement=True)


def chats(path: Path) -> Collect:
    return own(path, statement=None, messages="messages", answer="messages", answer_pattern="boxed")


def curated(config: Collect, folder: Path, more: str | None = None, **fields: Any) -> Path:
    """The problems that are left of one source, and its solutions beside them; one exam problem keeps to itself."""
    collect(config, CONTEST, out=folder / "raw/train/own")
    asked = [problem("asked", 5, "Which prime is even plus three, said once?"), problem("silent", None, "What does nobody say?")]
    rows.write(folder / "raw/exam/asked/problems.parquet", asked, Problem)
    settings = CONFIG.model_copy(update={"practice_share": 0.0, **fields})
    named = sources({"own": "train", **({"more": more} if more else {}), "asked": "exam"})
    engines = Engines.load(ROOT / "params.yaml")
    (folder / "work").mkdir(parents=True)
    curate(
        settings, engines, named, EngineHosts.load(ROOT), CurateCluster(cluster=None),
        raw=folder / "raw", extracted=folder / "none", out=folder / "problems", work=folder / "work",
    )  # fmt: skip
    return folder / "problems"


def composed(key: str, made: Path, folder: Path, attempts: list[Candidate] | None = None, **fields: Any) -> Composed:
    left = list(rows.read(made / "train.parquet", Problem))
    given = list(rows.read(made / "solutions.parquet", Candidate))
    folder.mkdir()
    return run(config(key, **fields), folder, left, attempts or [], solutions=given)


def said(row: Example) -> list[tuple[str, str, bool]]:
    return [(message.role, message.content, message.loss) for message in row.messages[1:]]


def test_a_written_solution_becomes_a_row_where_its_box_holds_the_answer(tmp_path: Path) -> None:
    made = curated(texts(jsonl(tmp_path / "own.jsonl", *TEXTS)), tmp_path)
    assert {row.id: row.reason for row in rows.read(tmp_path / "raw/train/own/dropped.parquet", Dropped)} == {
        "own-5/solution": "calls code, but no output follows"
    }
    plain, ran = composed("cot", made, tmp_path / "cot"), composed("tir", made, tmp_path / "tir")
    assert [(row.id, said(row)) for row in plain.kept] == [("cot/own-1/0", [("assistant", "One each: \\boxed{35}.", True)])]
    assert TEXTS[0]["problem"] in plain.kept[0].messages[0].content
    assert {row.id: row.reason for row in plain.dropped} == {"cot/own-3/0": "wrong answer"}
    call, rest = RAN.split(output_block("35"))
    assert [said(row) for row in ran.kept] == [[("assistant", call, True), ("tool", output_block("35"), False), ("assistant", rest, True)]]


def test_a_chat_becomes_a_row_with_what_its_tools_said(tmp_path: Path) -> None:
    made = curated(chats(jsonl(tmp_path / "own.jsonl", *CHATS)), tmp_path)
    assert [(row.statement, row.answer) for row in rows.read(made / "train.parquet", Problem)] == [
        ("What is six times seven?", 42),
        ("What is seven times eight?", 56),
    ]
    assert {row.id: row.reason for row in rows.read(tmp_path / "raw/train/own/dropped.parquet", Dropped)} == {
        "own-3": "messages are not one question and its answer",
        "own-4": "messages are no list of {role, content}, both text",
    }
    (plain,) = composed("cot", made, tmp_path / "cot").kept
    assert said(plain) == [("assistant", "It is \\boxed{42}.", True)]
    (ran,) = composed("tir", made, tmp_path / "tir", filters=[]).kept
    call, shown = "<tool_call>\nprint(7 * 8)\n</tool_call>", "\n```output\n56\n```\n"  # in the project's own tags
    assert said(ran) == [("assistant", call, True), ("tool", shown, False), ("assistant", "So \\boxed{56}.", True)]


@pytest.mark.parametrize("form", ["own.jsonl", "own.parquet", "hub"])
def test_files_and_hub_bring_the_same_solutions(tmp_path: Path, form: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    if form == "own.jsonl":
        source = chats(jsonl(tmp_path / form, *CHATS[:2]))
    else:
        pq.write_table(pa.Table.from_pylist(CHATS[:2]), tmp_path / "set" / "train.parquet")
        fields = {"repo": str(tmp_path / "set"), "revision": None, "subset": None, "split": "train", "use": "train", "licence": "MIT"}
        fields |= {"id": None, "statement": None, "answer": "messages", "answer_pattern": "boxed", "on_bad_answer": "drop", "group": None}
        hub = entry("hub.own", **fields, limit=None, messages="messages")
        source = hub if form == "hub" else chats(tmp_path / "set" / "train.parquet")
    measured = collect(source, CONTEST, out=tmp_path / "out")
    given = list(rows.read(tmp_path / "out/solutions.parquet", Candidate))
    assert [(one.problem, one.mode, one.answer) for one in given] == [("own-1", "cot", 42), ("own-2", "tir", 56)]
    assert measured["solutions"] == 2


def test_solutions_stand_behind_the_attempts_and_do_not_count_as_the_model_s(tmp_path: Path) -> None:
    made = curated(texts(jsonl(tmp_path / "own.jsonl", *TEXTS[:1])), tmp_path)
    slices = [{"sources": [], "pass_rate": "[0, 0]", "pass_rate_mode": None, "tokens": None, "difficulty": None}]
    found = composed("cot", made, tmp_path / "cot", [candidate(3, "own-1", 0), candidate(4, "own-1", 1)], common={"slices": slices})
    assert [row.id for row in found.kept] == ["cot/own-1/2"]
    assert found.metrics["counts"]["solutions"] == 1


def test_an_exam_brings_no_solutions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="only sources with `use: train` bring solutions"):
        own(tmp_path / "own.jsonl", use="exam", solution="written")


def test_an_unanswered_problem_is_answered_by_the_majority_of_its_attempts(tmp_path: Path) -> None:
    records = [
        {"problem": "How many legs has a spider of the usual kind?", "answer": None},
        {"problem": "Which number is thrice eleven?", "answer": None},
        {"problem": "Which number is thrice  eleven?", "answer": 33},
    ]
    source = own(jsonl(tmp_path / "own.jsonl", *records[:2]), answer=None)
    answered = jsonl(tmp_path / "answered.jsonl", records[2])
    collect(one_file(answered, "more", id=None), CONTEST, out=tmp_path / "raw/train/more")
    made = curated(source, tmp_path, more="train", keep_unanswered=True)
    assert {row.id: (row.reason, row.other) for row in rows.read(made / "dropped.parquet", Dropped)} == {
        "own-2": ("duplicate", "more-1"),
        "silent": ("no answer", None),
    }
    fill = {"fill_majority_answer": {"min_votes": 2, "min_share": 0.5}}
    attempts = [candidate(answer, "own-1", index, text=f"Legs, {index}: \\boxed{{{answer}}}") for index, answer in enumerate((8, 8, 6))]
    found = composed("cot", made, tmp_path / "cot", attempts, common=fill)
    assert [row.id for row in found.kept] == ["cot/own-1/0", "cot/own-1/1"]
    assert not list(rows.read(curated(source, tmp_path / "off").joinpath("train.parquet"), Problem))


def test_held_out_and_exam_problems_need_an_answer(tmp_path: Path) -> None:
    source = own(jsonl(tmp_path / "own.jsonl", {"problem": "How many legs has a spider?"}), answer=None)
    made = curated(source, tmp_path, keep_unanswered=True, practice_share=1.0)
    assert {row.id: row.reason for row in rows.read(made / "dropped.parquet", Dropped)} == {"own-1": "no answer", "silent": "no answer"}


@pytest.mark.parametrize(("share", "passes"), [(0.0, False), (0.2, False), (0.6, True)])
def test_the_gate_lets_so_many_unanswered_problems_through(tmp_path: Path, share: float, passes: bool) -> None:
    texts = [{"problem": f"How many legs have {number} spiders?", "answer": None if number % 3 else 8} for number in range(9, 15)]
    made = curated(own(jsonl(tmp_path / "own.jsonl", *texts), on_bad_answer="keep"), tmp_path, keep_unanswered=True)
    gate = Validate.load(ROOT / "params.yaml", "problems")
    gate = gate.model_copy(update={"min_rows": 0, "max_share_unanswered": share})
    with nullcontext() if passes else pytest.raises(UserError, match="answer"):
        validate(gate, CONTEST, data=made, exam=made / "exam.parquet", out=tmp_path / "report.json")


def test_a_code_budget_is_asked_of_the_model_kept_and_told_in_the_row(tmp_path: Path) -> None:
    cell = "<tool_call>\nprint(7)\n</tool_call>"
    replies = {f"p/{index}/{turn}": cell if turn < 2 else "So \\boxed{7}." for index in range(12) for turn in range(3)}
    budget = {"low": 1, "high": 4}
    asking = settings(plan=fixed(**{"tir-budget": 12}), code_budget=budget, max_executions=4)
    (tmp_path / "asked").mkdir()
    question = run_question(tmp_path / "asked", replies, asking, QuestionBudget(1e6))
    drawn = [CodeBudget(low=1, high=4).draw("p", index) for index in range(12)]
    assert 1 in drawn and len(set(drawn)) > 2
    for attempt, allowed in zip(question.attempts, drawn, strict=True):
        assert f"Use Python, at most {allowed} times." in attempt.prompt.text
        assert len(attempt.runs) == min(2, allowed)
    rows_made = config("tir", mode="tir-budget", prompt="tir-budget", budget=budget, filters=[])
    found = run(rows_made, tmp_path, [problem("p")], question.candidates())
    (row,) = found.kept
    assert row.messages[0].content == f"What is 3 + 4?\nUse Python, at most {drawn[row.candidate]} times."
    reasons = {
        number: "no answer: no box" if allowed == 1 else "same text" for number, allowed in enumerate(drawn) if number != row.candidate
    }
    assert {row.id: row.reason for row in found.dropped} == {
        f"tir/p/{number}": reason for number, reason in reasons.items() if number != row.candidate
    }


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"code_budget": {"low": 3, "high": 2}}, "high .2. is below low .3."),
        ({"code_budget": {"low": 1, "high": 8}}, "beyond max_executions .2.; raise that"),
    ],
)
def test_a_code_budget_that_cannot_be_kept_is_refused(over: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(plan=fixed(tir=1), **over)


@pytest.mark.parametrize("asked", [None, {"low": 1, "high": 4}])
def test_rows_that_name_another_code_budget_than_the_teacher_was_asked_are_found_beforehand(asked: dict[str, int] | None) -> None:
    facts = Facts.of(ROOT)
    facts.params["compose"]["tir"]["rows"]["budget"] = {"low": 1, "high": 4}
    facts.params["solve"]["teacher"]["code_budget"] = asked
    assert [(one.level, one.whose) for one in check(facts)] == ([] if asked else [("stop", "compose.tir")])


def test_a_benchmark_s_problem_in_a_forum_post_never_becomes_a_row(tmp_path: Path) -> None:
    asked = "Which prime is even plus three, said once?"
    records = [
        {"problem": f"My teacher gave me this: {asked} I think it is 7?", "answer": 5, "written": "\\boxed{5}"},
        {"problem": "Which prime is even?", "answer": 2, "written": "\\boxed{2}"},
    ]
    made = curated(texts(jsonl(tmp_path / "own.jsonl", *records)), tmp_path)
    assert {row.id: (row.reason, row.other) for row in rows.read(made / "dropped.parquet", Dropped) if row.id != "silent"} == {
        "own-1": ("contaminated", "asked")
    }
    assert [row.id for row in composed("cot", made, tmp_path / "cot").kept] == ["cot/own-2/0"]
