"""Training sets whose rows are one solution each, or a problem alone: what is accepted, what is refused and why, and where loss lies."""

import itertools
from typing import Any

import pytest

from components.compose import novelty_significance
from components.compose.novelty_significance import NoveltySignificance, Verdict, combine, is_useful, novelty, significance
from components.core.types import Annotation, Candidate, Example, Prompt
from components.lib.code_blocks import code_blocks
from components.lib.code_budget import CodeBudget
from tests.compose_fixtures import config, group, made
from tests.row_fixtures import candidate, problem, run

FILTERS = ["block_not_closed", "block_without_output", "last_code_failed", "box_before_code", "answer_before_code", "no_box_after_code"]
CELL = "<tool_call>\nprint(7)\n</tool_call>"
OUTPUT = "\n```output\n7\n```\n"


def tried(text: str, answer: int = 7, num_runs: int = 1) -> Candidate:
    return candidate(answer, text=text, runs=(run(),) * num_runs)


# ---- tir -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"answer": 8}, "wrong answer"),
        ({"answer": None, "abstained": "no box"}, "no answer: no box"),
        ({"runs": (), "mode": "tir"}, "no code"),
        ({"runs": (run(),) * 5}, "more than 4 code blocks"),
        ({"runs": (run(status="error"),)}, "last code failed"),
        ({"runs": (run(status="error"), run())}, None),
        ({"finish_reason": "length"}, "ended by length"),
        ({"text": f"<tool_call>\nprint(7)\n{OUTPUT}\\boxed{{7}}"}, "block not closed"),
        ({"text": f"{CELL}{OUTPUT}<tool_call>\nprint(7)"}, "block not closed"),
        ({"text": f"<tool_call>\n1<tool_call>\nprint(7)\n</tool_call>{OUTPUT}</tool_call>"}, "block not closed"),
        ({"text": f"{CELL}\nSo it is \\boxed{{7}}"}, "block without output"),
        ({"text": f"{CELL}{OUTPUT}{CELL}\\boxed{{7}}"}, "block without output"),
        ({"text": f"\\boxed{{1}} {CELL}{OUTPUT}\\boxed{{7}}"}, "box before code"),
        ({"text": f"It is 7. {CELL}{OUTPUT}\\boxed{{7}}"}, "answer before code"),
        ({"text": f"{CELL}{OUTPUT}That is it."}, "no box after code"),
    ],
)
def test_what_a_tool_solution_is_refused_for(fields: dict[str, Any], reason: str | None) -> None:
    one = candidate(**{"runs": (run(),), **fields})
    rows, left = made(config("tir", filters=FILTERS), group(problem(answer=7), [one]))
    assert (left.get("tir/p/0"), len(rows)) == (reason, int(reason is None))


def test_what_no_one_has_judged_is_not_right() -> None:
    assert made(config("tir"), group(problem(answer=None), [candidate(runs=(run(),))])) == ([], {"tir/p/0": "no verdict"})


@pytest.mark.parametrize(
    ("before", "answer", "stands"),
    [
        ("17 or 7.5 or 0.7 or 7,000 or 70", 7, False),
        ("it is 7.", 7, True),
        ("(3,7)", 7, True),
        ("x=7,y", 7, True),
        ("7", 7, True),
        ("1,007 and 12007", 7, False),
        ("1,700", 700, False),
        ("costs 700, I think", 700, True),
        ("x_2 = 12, 20, 2.0", 2, True),
    ],
)
def test_an_answer_before_the_code_is_a_number_of_its_own(before: str, answer: int, stands: bool) -> None:
    one = tried(f"{before} {CELL}{OUTPUT}\\boxed{{{answer}}}", answer)
    _, left = made(config("tir", filters=["answer_before_code"]), group(problem(answer=answer), [one]))
    assert bool(left) == stands


def test_a_rule_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(Exception, match="no filter 'box_before', did you mean 'box_before_code'"):
        config("tir", filters=["box_before"])


def test_tool_output_carries_no_loss_and_the_pieces_are_the_text() -> None:
    one = candidate(runs=(run("print(x)", "NameError: name 'x' is not defined", "error"), run()))
    (example,), _ = made(config("tir"), group(problem(), [one]))
    assert isinstance(example, Example)
    asked, *turn = example.messages
    assert "".join(message.content for message in turn) == one.text
    assert [(message.role, message.loss) for message in turn] == [("assistant", True), ("tool", False)] * 2 + [("assistant", True)]
    assert not asked.loss and asked.content.startswith("What is 3 + 4?")


def test_of_all_that_is_right_the_shortest_can_be_kept_alone() -> None:
    three = [candidate(7, index=i, text="x" * (9 - i) + "</think>\\boxed{7}", runs=()) for i in range(3)]
    rows, left = made(config("cot", keep="shortest"), group(problem(), three))
    assert [row.id for row in rows] == ["cot/p/2"] and set(left.values()) == {"a shorter one is kept"}


def test_the_prompt_tells_the_code_budget_and_who_overran_it_is_left_out() -> None:
    settings = config("tir", prompt="tir-budget", budget={"low": 1, "high": 8}, filters=[], max_code_blocks=8)
    attempts = [candidate(index=i, runs=(run(str(i)),) * (1 + i % 8)) for i in range(64)]
    rows, left = made(settings, group(problem(), attempts))
    allowed = {i: CodeBudget(low=1, high=8).draw("p", i) for i in range(64)}
    assert set(allowed.values()) == set(range(1, 9))
    assert left == {f"tir/p/{i}": "more code than the prompt allowed" for i in range(64) if 1 + i % 8 > allowed[i]} and left
    for row in rows:
        assert isinstance(row, Example) and row.candidate is not None
        assert row.messages[0].content == f"What is 3 + 4?\nUse Python, at most {allowed[row.candidate]} times."


# ---- is the code useful ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "novel"),
    [
        ("It computes afresh.\nNovel Calculation", True),  # the verdict is the reply's last word
        ("Novel Calculation\n", True),
        ("**novel calculation**.", True),
        ("Verification", False),
        ("Not a Novel Calculation but Verification", False),
        ("Unsure.", None),
        ("", None),
    ],
)
def test_a_novelty_verdict_is_read_wherever_it_stands(reply: str, novel: bool | None) -> None:
    assert novelty(reply) is novel


@pytest.mark.parametrize(
    ("reply", "level"),
    [("Moderate", "moderate"), ("significant.", "significant"), ("Not trivial: Significant", "significant"), ("insignificantly", None)],
)
def test_a_significance_verdict_is_read_wherever_it_stands(reply: str, level: str | None) -> None:
    assert significance(reply) == level


def test_eight_voices_weigh_as_the_table_says_for_every_way_to_cast_them() -> None:
    for votes in itertools.combinations_with_replacement((True, False, None), 8):
        assert combine(votes, ["moderate"] * 8).novel == (votes == (True,) * 8)
    for levels in itertools.combinations_with_replacement(("trivial", "moderate", "significant", None), 8):
        if levels.count("trivial"):
            wanted = "trivial"
        elif levels.count("moderate"):
            wanted = "moderate"
        else:
            wanted = "significant" if levels.count("significant") == 8 else "trivial"
        assert combine([True] * 8, levels).significance == wanted  # type: ignore[arg-type]


def test_a_solution_is_worth_keeping_as_the_table_says_for_up_to_four_blocks() -> None:
    every = [Verdict(novel, level) for novel in (True, False) for level in ("trivial", "moderate", "significant")]
    for num in range(5):
        for verdicts in itertools.product(every, repeat=num):
            strong = any(novel and level == "significant" for novel, level in verdicts)
            middling = sum(novel and level == "moderate" for novel, level in verdicts)
            assert is_useful(verdicts, 0.5) == (num > 0 and (strong or (middling > 0 and middling >= 0.5 * num)))


def said(block: int, novel: str, level: str, votes: int = 8) -> list[Annotation]:
    pairs = [("novelty", novel), ("significance", level)]
    return [
        Annotation.model_validate({"problem": "p", "shown": (0,), "kind": a, "part": block, "text": t, "num_tokens": 1})
        for a, t in pairs * votes
    ]


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        (said(1, "Novel Calculation", "Significant"), None),
        (said(1, "Novel Calculation", "Trivial"), "code of little use"),
        (said(1, "Verification", "Significant"), "code of little use"),
        (said(1, "Novel Calculation", "Significant", votes=7), "code not judged often enough"),
        ([], "code not judged often enough"),
        (said(0, "Novel Calculation", "Significant"), "code not judged often enough"),  # block 0 failed: block 1 is the one to judge
    ],
)
def test_only_code_of_use_is_trained_on_where_that_is_asked(annotations: list[Annotation], reason: str | None) -> None:
    one = candidate(runs=(run(output="Traceback (most recent call last)\nNameError", status="error"), run()))
    _, left = made(config("tir", novelty_significance={"num_votes": 8, "min_moderate_share": 0.5}), group(problem(), [one], annotations))
    assert left.get("tir/p/0") == reason


def test_a_block_is_shown_with_what_stands_around_it_and_no_other_block() -> None:
    thought = "a" * 2000
    text = f"{thought}{CELL}{OUTPUT}between{CELL}{OUTPUT}{'z' * 2000}"
    first, second = code_blocks(tried(text, num_runs=2))
    assert (first.block, first.before, first.code, first.output, first.after.strip()) == (0, "a" * 1500, "print(7)", "7", "between")
    assert (second.before.strip(), len(second.after)) == ("between", 1500)


def test_a_solution_whose_blocks_all_failed_has_no_code_to_judge() -> None:
    one = candidate(runs=(run(output="Traceback (most recent call last)", status="error"),))
    assert novelty_significance.rejection_reason(one, [], NoveltySignificance(num_votes=8, min_moderate_share=0.5)) == "no code to judge"


# ---- grpo, distill ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        (7, None),
        (None, "error: the gold is no integer"),
        (1000, "error: the gold is out of range"),
        (-1, "error: the gold is out of range"),
    ],
)
def test_a_gold_that_cannot_be_rewarded_by_is_an_error_row(gold: int | None, reason: str | None) -> None:
    rows, left = made(config("grpo"), group(problem(answer=gold), []))
    assert left.get("grpo/p") == reason
    assert [(row.gold, row.messages[0].role) for row in rows if isinstance(row, Prompt)] == ([] if reason else [(7, "user")])


def test_a_teacher_is_imitated_in_error_too_unless_told_otherwise() -> None:
    attempts = [candidate(7), candidate(3, index=1), candidate(None, index=2, finish_reason="length")]
    rows, left = made(config("distill"), group(problem(), attempts))
    assert [row.id for row in rows] == ["distill/p/0", "distill/p/1"] and left == {"distill/p/2": "ended by length"}
    rows, _ = made(config("distill", correct_only=True), group(problem(), attempts))
    assert [row.id for row in rows] == ["distill/p/0"]
