"""What counts as the same problem: duplicates among the rows, and rows that ask what the exam or a benchmark asks."""

import csv
import gzip
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.statements import REWORDINGS, drafts, planted
from components.curate.canonical import canonical
from components.curate.contamination import BenchmarkIndex, CanonicalProblem, NgramOverlap, Overlap
from components.curate.funnel import DropReason
from components.curate.near_duplicates import MinHashConfig, exact_duplicates, near_duplicates
from components.curate.problem_table import ProblemTable

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
MINHASH = MinHashConfig(jaccard=0.5, sentence_jaccard=0.2, num_perm=128, num_bands=32, seed=1)
real_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")


def entry(name: str, statement: str, answer: int | None = 7, group: str = "") -> CanonicalProblem:
    return CanonicalProblem(name, "files", group or name, answer, canonical(statement))


def drops(entries: Iterable[CanonicalProblem]) -> dict[str, DropReason]:
    """What is dropped as a duplicate or a conflict, by id."""
    with ProblemTable(Path(tempfile.gettempdir())) as table:
        for held in entries:
            table.add(0, held.id, held.answer, held.form)
        alive = np.ones(len(table), dtype=bool)
        gone = dict(exact_duplicates(table, alive))
        alive[list(gone)] = False
        return {table.ids[row]: drop for row, drop in {**gone, **dict(near_duplicates(table, alive, MINHASH))}.items()}


# ---- duplicates ------------------------------------------------------------------------------------------------------------


def test_of_exact_duplicates_the_smallest_id_stays() -> None:
    gone = drops([entry("c", "Find $x+1$."), entry("a", "find $y + 1$"), entry("b", "Find  $z+1$")])
    assert {name: drop.other for name, drop in gone.items()} == {"b": "a", "c": "a"}


def test_the_same_statement_with_two_answers_is_dropped_with_both() -> None:
    gone = drops([entry("a", "Find $x$.", 1), entry("b", "Find $y$.", 2), entry("c", "Find $z$.", 2)])
    assert {name: (drop.reason, drop.other) for name, drop in gone.items()} == {
        "a": ("conflict", "b"),
        "b": ("conflict", "a"),
        "c": ("conflict", "a"),
    }


def test_the_same_numbers_in_other_places_are_two_problems_where_the_answers_differ() -> None:
    table = [
        entry("a", "Find the least positive solution of 5x = 6 modulo 7.", 4),
        entry("b", "Find the least positive solution of 6x = 5 modulo 7.", 2),
    ]
    assert not drops(table)


def test_the_same_numbers_in_another_order_are_one_problem_where_the_answers_agree() -> None:
    table = [entry("a", "Compute gcd(12, 18) and add 1."), entry("b", "Compute gcd(18, 12) and add 1.")]
    assert drops(table)["b"].other == "a"


def test_another_question_about_one_story_is_another_problem() -> None:
    story = "A rectangular garden is 12 metres long and 5 metres wide, and a path of 2 metres runs all around it. "
    table = [entry("a", story + "How many square metres has the path?"), entry("b", story + "Find the diagonal.")]
    assert not drops(table)


@pytest.fixture(scope="module")
def statements() -> tuple[list[CanonicalProblem], dict[str, list[CanonicalProblem]]]:
    base = drafts(3000, seed=1)
    variants = {kind: [entry(f"b{at}", text) for at, text in enumerate(texts)] for kind, texts in planted(base, 150, seed=1).items()}
    return [entry(f"a{at}", draft.text()) for at, draft in enumerate(base)], variants


def flagged(base: list[CanonicalProblem], variants: list[CanonicalProblem]) -> float:
    """The share of variants that are dropped beside a base of kept statements."""
    gone = drops([*base, *variants])
    return sum(variant.id in gone for variant in variants) / len(variants)


@pytest.mark.parametrize("kind", REWORDINGS)
def test_rewordings_are_found(kind: str, statements: tuple[list[CanonicalProblem], dict[str, list[CanonicalProblem]]]) -> None:
    base, variants = statements
    assert flagged(base, variants[kind]) >= 0.98


@pytest.mark.parametrize("kind", ["one number changed", "all numbers changed"])
def test_a_changed_number_is_never_a_duplicate(
    kind: str, statements: tuple[list[CanonicalProblem], dict[str, list[CanonicalProblem]]]
) -> None:
    base, variants = statements
    assert flagged(base, variants[kind]) == 0


def test_another_question_is_seldom_a_duplicate(statements: tuple[list[CanonicalProblem], dict[str, list[CanonicalProblem]]]) -> None:
    base, variants = statements
    assert flagged(base, variants["other question"]) <= 0.09


# ---- the exam and the benchmarks ---------------------------------------------------------------------------------------------

NGRAM_OVERLAP = NgramOverlap(size=8, min_share=0.8)
EXAM = [entry("e1", "How many coins are left when 35 coins are shared equally among 8 pirates?", group="remainder 35 8")]
LONG = "A train with $n$ cars and 31 seats in each leaves the town of Ulm at noon, and 7 cars are taken off; $n$ is odd. Find $n$ modulo 5."


def overlaps(table: Iterable[CanonicalProblem], asked: Iterable[CanonicalProblem]) -> dict[str, Overlap]:
    """What each row that has anything in common with the benchmarks has in common with them."""
    index = BenchmarkIndex(asked, MINHASH, NGRAM_OVERLAP)
    found = {held.id: index.overlap(held.form, held.group) for held in table}
    return {name: overlap for name, overlap in found.items() if overlap.matches or overlap.suspect}


@pytest.mark.parametrize(
    ("statement", "group", "how"),
    [
        ("How many  coins are left when 35 coins are shared equally among 8 pirates", "", "exact"),
        ("How many coins are left over when 35 coins are shared among 8 pirates equally?", "", "near"),
        ("Find 35 mod 8.", "remainder 35 8", "group"),
    ],
)
def test_what_the_exam_asks_is_contaminated_whatever_its_answer(statement: str, group: str, how: str) -> None:
    (match,) = overlaps([entry("a", statement, 99, group)], EXAM)["a"].matches
    assert (match.benchmark, match.problem) == ("files", "e1")
    assert match.how.startswith(how)


def test_the_exam_s_wording_with_other_numbers_is_suspect_and_not_contaminated() -> None:
    table = [
        entry("a", "How many coins are left when 41 coins are shared equally among 6 pirates?"),
        entry("b", "Find the area of a disc."),
    ]
    found = overlaps(table, EXAM)
    assert {name: (overlap.matches, overlap.suspect.problem) for name, overlap in found.items() if overlap.suspect} == {"a": ((), "e1")}


def test_a_problem_inside_a_longer_text_is_found_under_other_names_and_only_with_all_its_numbers() -> None:
    story = "Let $x$ and $y$ be coprime. First show that $x^2 + y^2$ is not divisible by 3, then find $x + y$ modulo 11. " * 3
    table = [
        entry("whole", f"{story} {LONG.replace('$n$', '$m$')} Explain your reasoning to a friend who likes trains."),
        entry("changed", f"{story} {LONG.replace('7 cars', '8 cars')}"),
        entry("other", story),
    ]
    sum_of = "An arithmetic sequence starts with 11 and has common difference 4. Find the sum of its first {} terms, and write it down."
    assert not any(overlap.matches for overlap in overlaps([entry("five", sum_of.format(5))], [entry("four", sum_of.format(4))]).values())
    found = overlaps(table, [entry("e1", LONG)])
    assert [match.how for match in found["whole"].matches] == ["quoted inside a longer text"]
    assert not any(overlap.matches for name, overlap in found.items() if name != "whole")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("My teacher gave me this: what is $3 + 4n$? I think it is 7?", True),
        ("(What is $3 + 4m$) said he", True),
        ("What is $3 + 4n + 5$?", False),
        ("What is $3 + 4n$ when doubled?", True),  # a lost training row costs little
        ("What is $3 + 5n$? I say 7.", False),
    ],
)
def test_a_short_problem_is_found_in_a_longer_text_word_for_word(statement: str, found: bool) -> None:
    (overlap,) = overlaps([entry("a", statement)], [entry("e", "What is $3 + 4n$?")]).values()
    assert bool(overlap.matches) == found


def test_every_benchmark_that_asks_a_row_is_named_once() -> None:
    asked = [entry("x1", LONG)._replace(source="x"), entry("x2", LONG)._replace(source="x"), entry("y1", LONG)._replace(source="y")]
    (overlap,) = overlaps([entry("a", LONG)], asked).values()
    assert [(match.benchmark, match.problem) for match in overlap.matches] == [("x", "x1"), ("y", "y1")]
    assert overlap.suspect is None


def csv_rows(path: str) -> list[dict[str, str]]:
    with (DATA / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(path: str) -> list[dict[str, Any]]:
    text = gzip.decompress((DATA / path).read_bytes()) if path.endswith(".gz") else (DATA / path).read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def given_away(table: Iterable[CanonicalProblem], asked: Iterable[CanonicalProblem]) -> dict[str, str]:
    """Contaminated rows, each with the problem that it gives away."""
    return {name: overlap.matches[0].problem for name, overlap in overlaps(table, asked).items() if overlap.matches}


def held(prefix: str, texts: Iterable[str]) -> list[CanonicalProblem]:
    return [entry(f"{prefix}{number}", text) for number, text in enumerate(texts)]


@real_data
def test_reference_problems_and_aime_25_are_found_among_aime_problems() -> None:
    exam = held("r", (row["problem"] for row in csv_rows("aimo_reference/aimo2_reference.csv")))
    exam += held("x", (row["question"] for row in csv_rows("aime25/aime_2025_30.csv")))
    table = [entry(row["id"], row["problem"]) for row in csv_rows("aime_1983_2024/AIME_Dataset_1983_2024.csv")]
    gone = given_away(table, exam)
    assert set(gone.values()) == {asked.id for asked in exam}
    assert all(name.startswith(("2024_AIMO_II", "2025")) for name in gone)


@real_data
def test_all_of_math500_is_found_in_the_math_test_set() -> None:
    exam = held("t", (row["problem"] for row in lines("math/math500.jsonl")))
    gone = given_away(held("m", (row["problem"] for row in lines("math/test_5000.jsonl.gz"))), exam)
    assert len(set(gone.values())) == 500
    assert len(gone) < 550


@real_data
def test_every_problem_of_math500_is_found_in_a_forum_post_and_no_other_problem_is_taken_for_one() -> None:
    texts = [row["problem"] for row in lines("math/math500.jsonl")]
    exam = held("t", texts)
    wrapped = held("w", (f"My teacher gave me this: {text} I think it is 7?" for text in texts))
    assert len(given_away(wrapped, exam)) == 500
    asked = {problem.form for problem in exam}
    others = [row for row in held("m", (row["problem"] for row in lines("math/test_5000.jsonl.gz"))) if row.form not in asked]
    assert not [match for overlap in overlaps(others, exam).values() for match in overlap.matches if match.how.startswith("quoted")]
