"""Sampling plans in simulated time: which attempts there are, how deep each goes, and what each was made from."""

from pathlib import Path

from components.lib.rules.time_budget import QuestionBudget
from components.solve.plans.fixed import PromptCount, order
from components.solve.plans.forced import BOX
from tests.question_fixtures import fixed, run_attempts, run_question, settings, words

BOXED = " \\boxed{{{0}}}"
SHARE = {"kind": "share_of_answers", "more_than": 6, "share": 0.7}


def test_prompts_are_asked_one_after_another_or_in_turn() -> None:
    asks = [PromptCount("cot", 3), PromptCount("tir", 2)]
    assert order(asks, False) == ["cot", "cot", "cot", "tir", "tir"]
    assert order(asks, True) == ["cot", "tir", "cot", "tir", "cot"]


def test_what_ends_an_attempt_may_differ_from_prompt_to_prompt(tmp_path: Path) -> None:
    plan = {"kind": "fixed", "attempts": [["cot", 1], ["tir", 1, ["printed"]]], "interleave": False}
    reply = "\\boxed{5} or <tool_call>\nprint(6)\n</tool_call>"
    cot, tir = run_attempts(tmp_path, {"p/0/0": reply, "p/1/0": reply}, plan, stop_conditions=["boxed"], answer_source="printed-first")
    assert (cot.answer, cot.runs, tir.answer) == (5, (), 6)


def test_a_clock_that_allows_fewer_attempts_cuts_the_plan(tmp_path: Path) -> None:
    replies = {f"p/{index}/0": "\\boxed{1}" for index in range(8)}
    question = run_question(tmp_path, replies, settings(plan=fixed(cot=8)), QuestionBudget(100.0, candidates=3, max_tokens=5))
    assert (len(question.attempts), question.planned) == (3, 3)


ALIEV = {"kind": "branching", "prompt": "cot", "initial": 5, "depth": 40, "rounds": [[None, 80], [7, 120]]}
"""At a hundredth of its depths."""
LONG = words(200)


def test_unfinished_branches_are_doubled_and_go_on_from_where_they_were(tmp_path: Path) -> None:
    short = words(10, BOXED.format(3))
    replies = {"p/0/0": short, "p/1/0": short, "p/2/0": LONG, "p/3/0": LONG, "p/4/0": LONG}  # to 40 tokens: three are not finished
    replies |= {"p/2/1": short, "p/3/1": LONG, "p/4/1": LONG, "p/5/0": LONG, "p/6/0": short, "p/7/0": short}  # to 80, with their doubles
    replies |= {"p/3/2": short, "p/4/2": short, "p/5/1": LONG, "p/8/0": short, "p/9/0": short, "p/10/0": LONG}  # to 120
    made = run_attempts(tmp_path, replies, ALIEV, max_tokens=120)
    assert [candidate.parent for candidate in made] == [None] * 5 + [2, 3, 4] + [3, 4, 5]
    assert [candidate.finish_reason for candidate in made] == ["stop"] * 5 + ["length"] + ["stop"] * 4 + ["length"]
    assert [candidate.num_tokens for candidate in made if candidate.finish_reason == "length"] == [
        80,
        40,
    ]  # a parent's tokens are not charged twice
    assert all(made[index].text.startswith(" so" * 40) for index in range(2, 8))
    assert all(made[index].text.startswith(" so" * 80) for index in (3, 4, 5, 8, 9, 10))


def test_at_most_so_many_branches_go_on(tmp_path: Path) -> None:
    replies = {f"p/{index}/{turn}": LONG for index in range(40) for turn in range(3)}
    made = run_attempts(tmp_path, replies, ALIEV, max_tokens=120)
    assert len(made) == 5 + 5 + 7
    assert len({candidate.parent for candidate in made[10:]}) == 7  # at random, each once


def test_a_share_of_the_answers_ends_the_branching_before_its_last_round(tmp_path: Path) -> None:
    replies = {f"p/{index}/0": words(10, BOXED.format(4)) for index in (0, 1, 5, 6, 7)}
    replies |= {f"p/{index}/0": LONG for index in (2, 3, 4)} | {f"p/{index}/1": words(10 + index, BOXED.format(4)) for index in (2, 3, 4)}
    made = run_attempts(tmp_path, replies, ALIEV, max_tokens=120, early_stopping=[SHARE])
    assert [candidate.rank for candidate in made] == [0, 1, 5, 6, None, 2, 3, 4]
    assert made[4].finish_reason == "cancelled"  # seven answers, all equal


def test_a_thought_becomes_programs_and_a_failed_program_is_repaired(tmp_path: Path) -> None:
    plan = {
        "kind": "staged", "think": "recipes/ippeiogawa/think", "code": "recipes/ippeiogawa/code", "repair": "recipes/ippeiogawa/repair",
        "answer": "recipes/ippeiogawa/answer", "thoughts": 1, "think_tokens": 20,
        "prefill": "</think>\n\n", "programs": 1, "repair_rounds": 2, "answers": 1,
    }  # fmt: skip
    replies = {
        "p/0/0": words(100),  # the thought is cut at 20 tokens
        "p/1/0": "print(1/0)\n</tool_call>",
        "p/2/0": "\\boxed{6}",
        "p/3/0": "print(6 * 7)\n</tool_call>",
    }
    thought, program, box, repaired = run_attempts(tmp_path, replies, plan, answer_source="printed-first")
    assert (thought.num_tokens, thought.finish_reason, thought.rank) == (20, "length", None)
    assert [run.status for run in program.runs] == ["error"] and program.parent == 0
    assert program.text.startswith("</think>\n\n<tool_call>\nprint(1/0)") and repaired.text.startswith("</think>")
    assert not box.text.startswith("</think>")
    assert (box.answer, box.parent) == (6, 0)
    assert (repaired.answer, repaired.parent, repaired.mode) == (42, 1, "recipes/ippeiogawa/repair")


def test_programs_are_forced_at_each_depth_and_the_rest_is_asked_for_a_box(tmp_path: Path) -> None:
    plan = {
        "kind": "forced", "prompts": ["cot"], "paths": 1, "first_temperature": 0.7, "last_temperature": 0.2, "depths": [10, 20],
        "programs": 2,
        "program_temperature": 0.15, "program_tokens": 20, "box_tokens": 10,
    }  # fmt: skip
    replies = {"p/0/0": words(50), "p/0/1": words(50), "p/5/0": "9}"}
    replies |= {f"p/{index}/0": f"print({index})\n</tool_call>" for index in (1, 2, 3, 4)}
    made = run_attempts(tmp_path, replies, plan, answer_source="printed-first", max_tokens=100)
    assert [candidate.answer for candidate in made] == [None, 1, 2, 3, 4, 9]
    assert [candidate.parent for candidate in made] == [None, 0, 0, 0, 0, 0]
    assert made[5].text == " so" * 20 + BOX + "9}"


def test_a_second_round_is_asked_only_where_the_first_does_not_agree(tmp_path: Path) -> None:
    plan = {
        "kind": "second_round",
        "prompt": "cot",
        "initial": 3,
        "min_agreement": 2,
        "second_prompt": "recipes/aimo3/verify",
        "additional": 2,
    }
    apart = {f"p/{index}/0": f"\\boxed{{{answer}}}" for index, answer in enumerate([5, 6, 7, 6, 6])}
    made = run_attempts(tmp_path, apart, plan)
    assert [candidate.mode for candidate in made] == ["cot"] * 3 + ["recipes/aimo3/verify"] * 2
    agreed = apart | {"p/1/0": "\\boxed{5}"}
    assert len(run_attempts(tmp_path, agreed, plan)) == 3


def test_a_data_build_asks_more_of_hard_problems_by_the_same_prompt(tmp_path: Path) -> None:
    plan = {"kind": "second_round", "prompt": "tir", "initial": 4, "min_agreement": 3, "second_prompt": "tir", "additional": 6}
    said = {f"p/{index}/0": f"\\boxed{{{answer}}}" for index, answer in enumerate([5, 5, 7, 8, 5, 5, 5, 5, 5, 5])}
    assert [candidate.mode for candidate in run_attempts(tmp_path, said, plan)] == ["tir"] * 10
    assert len(run_attempts(tmp_path, said | {"p/3/0": "\\boxed{5}"}, plan)) == 4
