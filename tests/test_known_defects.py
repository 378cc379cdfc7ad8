"""Faults that others found in a published data pipeline (NeMo-Skills' recipes/openmathreasoning), as claims about ours.

A pattern with a stray character that can never match; an answer looked for as a substring; a missing verdict that counts as a good one; a
value outside every range that falls back to a normal one; one answer in two spellings that counts twice.
"""

import re

import pytest

from components.curate import canonical
from components.curate.canonical import numbers
from components.extract import parsing
from components.lib.answers import Contest, gold
from tests.test_curate_duplicates import drops, entry

CONTEST = Contest(low=0, high=999, modulus=1000)


# ---- no pattern is dead --------------------------------------------------------------------------------------------------

WRITTEN = (
    "AIME 2021 Problem 5. Solve the following math problem: [b]Think step by step.[/b] Put your final answer in \\boxed{}.",
    "Problem 3: the answer is an integer. \\text{cost} of \\$5~each, \\dfrac12 of it, at 30^\\circ; 1, 2, ..., 1{,}000 well-known sets",
    "\\{a\\} and {x} and \\begin{asy} draw(1); \\end{asy} and x_1, x_2, x_3, \\ldots and 2³ ½ 10,000",
    "2021 AMC 12 problem 4. Please reason step by step. Give the answer as an integer. Your final answer must be an integer below 9.",
)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in canonical._FOLDED], ids=lambda pattern: pattern.pattern)
def test_every_folding_pattern_matches_what_people_write(pattern: re.Pattern[str]) -> None:
    assert any(pattern.search(text) for text in WRITTEN)


@pytest.mark.parametrize(
    "text",
    [
        "AIME 2021 Problem 5. Find $x$.",
        "Exercise 12: Find $x$.",
        "Please solve the following math problem carefully: Find $x$.",
        "Find $x$. Please think step by step.",
        "Find $x$. Give your final answer within \\boxed{}.",
        "Find $x$. The answer is an integer between 0 and 999.",
    ],
)
def test_every_kind_of_boilerplate_is_really_cut(text: str) -> None:
    assert canonical.canonical(text) == canonical.canonical("Find $x$.")


# ---- whole words, not substrings -----------------------------------------------------------------------------------------


def test_numbers_are_compared_whole() -> None:
    assert numbers(canonical.canonical("Of 12 cards take 31.")) == ("12", "31")
    table = [entry("a", "Of 12 cards take 31 and find how many are left."), entry("b", "Of 1 cards take 231 and find how many are left.")]
    assert not drops(table)


def test_a_class_is_a_whole_word() -> None:
    assert parsing.classification("proof", "Proofs by induction are not asked for here.") is None


# ---- what is missing is not good -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["proof", "mcq", "binary", "invalid"])
def test_an_empty_verdict_is_neither_yes_nor_no(kind: str) -> None:
    assert parsing.classification(kind, "") is None


def test_a_reply_without_an_answer_line_has_none() -> None:
    assert parsing.answer("Output:\n42") is None


# ---- what is outside is not normal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, 1000, "-5", "448000"])
def test_a_value_outside_the_range_is_refused_and_never_reduced(value: int | str) -> None:
    with pytest.raises(ValueError, match=r"is outside 0\.\.999"):
        gold(value, CONTEST)


# ---- one answer is one answer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["16", "016", "16.0", 16, 16.0, "$16$", "\\frac{32}{2}", "\\boxed{16}"])
def test_spellings_of_one_answer_are_one(spelling: str | int | float) -> None:
    assert gold(spelling, CONTEST) == 16


def test_rows_of_one_statement_and_one_answer_in_two_spellings_do_not_contradict() -> None:
    held = [entry(name, "Find $x$.", gold(answer, CONTEST)) for name, answer in (("a", "016"), ("b", "16"))]
    assert {name: drop.reason for name, drop in drops(held).items()} == {"b": "duplicate"}
