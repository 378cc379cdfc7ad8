"""Public problems and other people's model outputs, composed and validated: what stays, what goes, and why.

`pytest -s` shows the table of reasons of each set.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components.compose.kinds import tir
from components.core import rows
from components.core.types import Candidate, Problem
from components.validate.stage import Validate, validate
from tests import compose_fixtures
from tests.compose_fixtures import Composed, config
from tests.dataset_fixtures import CONTEST, DATA, aime25, gsm8k, math, qwen, tora

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path) -> Iterator[None]:
    with chdir(tmp_path):
        yield


@cache
def traces_of_gsm8k() -> tuple[list[Problem], list[Candidate]]:
    problems = gsm8k("test")
    return problems, tora(problems)


def built(key: str, problems: list[Problem], attempts: list[Candidate], suite: str, warnings: int = 0, **fields: Any) -> Composed:
    """The set, past its gate; prints what was left out."""
    found = compose_fixtures.run(config(key, **fields), Path(), problems, attempts, name="set")
    rows.write(Path("exam.parquet"), aime25(), Problem)
    limits = {"min_rows": 5, "max_statement_chars": 200_000, "max_share_dropped": 0.95, "max_reason_share": 0.6, "champion": None}
    gate = Validate.model_validate({"suite": suite, "kinds": [key], "max_drift": 0.2, "max_share_unanswered": 0.0, **limits})
    checked = validate(gate, CONTEST, data=found.out, exam=Path("exam.parquet"), out=Path("checked.json"))
    assert checked["warnings"] == warnings
    print(f"\n{key}: {found.metrics['rows']} rows of {found.metrics['counts']}")
    for reason, num in sorted(found.metrics["dropped"].items(), key=lambda pair: -pair[1]):
        print(f"  {num:5} {reason}")
    return found


def test_tool_traces_make_a_tir_set_and_each_loss_has_its_reason() -> None:
    problems, attempts = traces_of_gsm8k()
    rules = ["block_not_closed", "block_without_output", "last_code_failed", "box_before_code", "answer_before_code", "no_box_after_code"]
    found = built("tir", problems, attempts, "examples", filters=rules)
    assert found.metrics["rows"] + sum(found.metrics["dropped"].values()) == len(attempts) == 2638
    assert found.metrics["dropped"] == {
        "wrong answer": 357,
        "no answer: out of range": 264,
        "same text": 158,  # the two models wrote the same program
        "no answer: not an integer": 52,
        "no answer: no box": 14,
        "no verdict": 6,  # the gold is beyond the contest's range
        "no answer: negative": 4,
        "last code failed": 2,
    }
    assert all(message.loss == (message.role == "assistant") for row in found.kept for message in row.messages)
    assert all({"assistant", "tool", "user"} == {message.role for message in row.messages} for row in found.kept)


def test_asked_as_a_substring_short_answers_would_be_refused_by_the_dozen() -> None:
    """Right tool solutions after the problem's own words, as models repeat them: a short answer stands in many of them by chance."""
    problems, attempts = traces_of_gsm8k()
    known = {problem.id: problem for problem in problems}
    seen, by_rule, by_substring = Counter[int](), Counter[int](), Counter[int]()
    for one in attempts:
        problem, digits = known[one.problem], len(str(one.answer))
        if one.answer is not None and one.answer == problem.answer:
            seen[digits] += 1
            by_rule[digits] += tir.answer_before_code(one.model_copy(update={"text": f"{problem.statement}\n{one.text}"}))
            by_substring[digits] += str(one.answer) in problem.statement
    shares = {digits: (round(by_rule[digits] / num, 3), round(by_substring[digits] / num, 3)) for digits, num in sorted(seen.items())}
    print(f"\nanswer stands before the code, by its digits (as a number, as a substring): {shares}")
    assert shares == {1: (0.195, 0.38), 2: (0.054, 0.068), 3: (0.004, 0.012)}


def test_eight_samples_make_a_cot_set_of_the_shortest() -> None:
    problems, attempts = qwen()
    found = built("cot", problems, attempts, "examples", keep="shortest")
    assert found.metrics["rows"] + sum(found.metrics["dropped"].values()) == len(attempts) == 800
    assert found.metrics["dropped"] == {
        "a shorter one is kept": 380,
        "no answer: not an integer": 213,
        "no answer: out of range": 53,
        "no answer: negative": 32,
        "same text": 30,
        "wrong answer": 30,
    }


def test_few_of_a_hundred_problems_are_split_enough_to_select_from() -> None:
    problems, attempts = qwen()
    drawn = {"by": "rule", "instances": 8, "max_shown": 16, "max_chars": 100_000, "count_chars": 60_000, "max_tokens": 20_000}
    found = built("genselect", problems, attempts, "examples", mode="cot", warnings=2, completions=drawn)
    assert found.metrics["dropped"] == {
        "no readable summary": 316,  # attempts: no integer of the contest, or more boxes than one
        "none is wrong": 57,  # problems, from here on
        "no verdict": 36,
        "fewer than four readable candidates": 2,
        "none is right": 2,
    }
    assert len({row.problem for row in found.kept}) == 3 and len(found.kept) == 18
    assert len({row.messages[0].content for row in found.kept}) == len(found.kept)


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"rejected": "longest", "max_length_ratio": 0.7}, {"not short enough beside the other": 45, "no verdict": 36, "none is right": 2}),
        (
            {"rejected": "least similar", "max_length_ratio": 0.9, "max_similarity": 0.83},
            {"no verdict": 36, "not short enough beside the other": 21, "too similar": 10, "none is right": 2},
        ),
    ],
)
def test_eight_samples_make_preferences(fields: dict[str, Any], dropped: dict[str, int]) -> None:
    problems, attempts = qwen()
    found = built("dpo", problems, attempts, "preferences", mode="cot", prompt="cot", **fields)
    texts = {(one.problem, one.index): one for one in attempts}
    for pair in found.kept:
        chosen, rejected = (texts[pair.problem, index] for index in pair.candidates)
        assert len(chosen.text) < fields["max_length_ratio"] * len(rejected.text)
        assert pair.chosen[0].content == chosen.text and pair.rejected[0].content == rejected.text
    assert found.metrics["dropped"] == dropped


@pytest.mark.parametrize(
    ("problems", "errors"),
    [
        (lambda: gsm8k("train"), 800),  # beyond 0..999
        (math, 2181),  # fractions, expressions, lists; 39^\\circ and \\$40 are integers
    ],
)
def test_golds_that_cannot_be_rewarded_by_are_error_rows(problems: Callable[[], list[Problem]], errors: int) -> None:
    held = problems()
    found = built("grpo", held, [], "prompts", max_rows=10_000)
    assert found.metrics["dropped"] == {"error: the gold is no integer": errors}
    assert len(found.kept) == len(held) - errors and all(0 <= prompt.gold <= 999 for prompt in found.kept)


def test_a_teacher_s_traces_are_distilled_whether_right_or_not() -> None:
    found = built("distill", *traces_of_gsm8k(), "examples", mode="tir", prompt="tir")
    assert found.metrics["dropped"] == {"same text": 179}
    assert len(found.kept) == 2638 - 179
