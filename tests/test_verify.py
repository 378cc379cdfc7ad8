"""Checks after the run: limits that a statement sets, programs that run again in the real sandbox, a model's yes and no."""

import csv
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.core import rows
from components.core.types import Candidate, Check, Problem
from components.lib import yes_no
from components.lib.answers import Contest, parse
from components.lib.engine.config import Engines
from components.verify.checks import model_check, rerun
from components.verify.constraints import bounds, check_constraints
from components.verify.stage import Verify, verify
from tests.question_fixtures import CAPACITY, HOSTS
from tests.row_fixtures import candidate, problem, run
from tests.sandbox_fixtures import Box, config, opened

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
AIMO2 = Contest(low=0, high=999, modulus=1000)
AIMO3 = Contest(low=0, high=99999, modulus=None)
WIDE = Contest(low=0, high=10**12, modulus=None)

# ---- limits -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "low", "high"),
    [
        ("Let $N$ be $2^{99}$. Find the remainder when $N$ is divided by $100$.", 0, 99),
        ("What is the remainder when the 1994th term of the sequence is divided by 7?", 0, 6),
        ("Find the remainder obtained when $n$ is divided by $1000$.", 0, 999),
        ("Find the remainder when $abc$ is divided by $10^{5}$.", 0, 99999),
        (r"Find the remainder when \[\sum_{n=1}^{2017} d_n\] is divided by $1000$", 0, 999),
        ("How many ways are there? Give your answer modulo 997.", 0, 996),
        ("Find the smallest positive integer $n$ such that $n^2$ ends in 25.", 1, None),
        ("What is the largest three-digit number divisible by 7?", 100, 999),
        ("Determine the 4-digit integer whose digits ascend.", 1000, 9999),
    ],
)
def test_limits_that_a_statement_sets(statement: str, low: int, high: int | None) -> None:
    (limit,) = bounds(statement, AIMO3)
    assert (limit.low, limit.high) == (low, high)


@pytest.mark.parametrize(
    "statement",
    [
        "The remainder when $n$ is divided by 7 is 3. Find $n$.",  # a condition on n
        "What is the sum of the possible remainders when $n$ is divided by 37?",
        "Find the number of positive integers whose remainder when divided by 5 is 2.",
        "Find the remainder when the number that is divided by 3 twice is divided by 7.",  # which of the two?
        "Find the remainder when $n$ is divided by $m$.",
        "Find the remainder $r$ when $N$ is divided by 10, and then determine $100r$.",
        "Find the smallest positive integer $n$ such that $2^n > 100$. What is $n - 20$?",
        "Find the sum of all three-digit numbers.",
        "Find the number of three-digit numbers.",
        "Find the product of the digits of the largest three-digit number.",
        "Prove that it is even.",
    ],
)
def test_what_is_no_limit_on_the_answer_is_not_taken_for_one(statement: str) -> None:
    assert bounds(statement, AIMO3) == []


def test_reduced_answers_are_held_to_a_modulus_alone() -> None:
    """Answers modulo 1000: the least positive integer with some property may be 1000, and is written 0."""
    assert bounds("Find the smallest positive integer $n$.", AIMO2) == []
    assert len(bounds("Find the remainder when $N$ is divided by 100.", AIMO2)) == 1


@pytest.mark.parametrize(
    ("answer", "score", "says"),
    [(99, 1.0, "below the modulus 100"), (100, 0.0, "100 breaks: below the modulus 100"), (1000, 0.0, "1000 breaks: the contest's range")],
)
def test_an_answer_is_held_against_range_and_statement(answer: int, score: float, says: str) -> None:
    assert check_constraints("Find the remainder when $N$ is divided by 100.", answer, AIMO2) == (score, says)


def test_a_statement_without_limits_says_nothing() -> None:
    assert check_constraints("Find $n$.", 5, AIMO2).score is None
    assert check_constraints("Find $n$.", 1000, AIMO2).score == 0.0


def golds() -> Iterator[tuple[str, int]]:
    """Statements and integer answers of real sets."""
    with (DATA / "aime_1983_2024/AIME_Dataset_1983_2024.csv").open(encoding="utf-8", newline="") as file:
        yield from ((row["problem"], int(row["answer"])) for row in csv.DictReader(file) if row["answer"].isdigit())
    with gzip.open(DATA / "math/test_5000.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            answer = parse(row["solution"], WIDE).answer
            if answer is not None:
                yield row["problem"], answer


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")
def test_no_right_answer_of_real_problems_breaks_a_limit() -> None:
    found = [(statement, answer) for statement, answer in golds() if bounds(statement, WIDE)]
    broken = [(statement, answer) for statement, answer in found if check_constraints(statement, answer, WIDE).score == 0.0]
    assert len(found) > 100
    assert broken == []


# ---- programs ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with opened() as box:
        yield box


@pytest.mark.parametrize(
    ("cells", "score", "says"),
    [
        (("print(3 + 4)",), 1.0, "printed 7"),
        (("x = 3", "print(x + 4)"), 1.0, "printed 7"),  # the last one needs the first
        (("print(7)", "print(8)"), 0.0, "printed 8"),
        (("print(7)", "1 / 0"), None, "the code did not end well"),
        (("x = 7",), None, "nothing printed"),
        (("while True: pass",), None, "the code did not end well"),
    ],
)
def test_the_last_program_is_run_again(cells: tuple[str, ...], score: float | None, says: str, box: Box) -> None:
    """What a candidate's row says was printed does not count."""
    tried = candidate(7, runs=tuple(run(code, "7") for code in cells))
    check = box.do(rerun(tried, box.sandbox, AIMO2, seed=5))
    assert (check.kind, check.score, check.detail) == ("rerun", score, says)


def test_an_answer_that_was_drawn_at_random_does_not_stand(box: Box) -> None:
    draw = "import random\nprint(random.randrange(1000))"
    first = int(box.cells(draw, seed=1)[0].output)
    tried = candidate(first, runs=(run(draw, str(first)),))
    assert box.do(rerun(tried, box.sandbox, AIMO2, seed=2)).score == 0.0


# ---- a model's model_check --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("All steps hold.\nVerdict: yes", True),
        ("**Verdict:** No.", False),
        ("Verdict: yes\nNo, wait: 3 + 4 is 7.\nVerdict: no", False),
        ("<think>Verdict: yes</think>\nVerdict: no", False),
        ("Yes.", True),
        ("no", False),
        ("Yes and no", None),
        ("It is right", None),
        ("", None),
    ],
)
def test_verdicts(reply: str, wanted: bool | None) -> None:
    assert yes_no.parse(reply) is wanted


def test_the_score_is_the_share_of_yes_among_replies_that_can_be_read() -> None:
    check = model_check(candidate(7), ["Verdict: yes", "Verdict: yes", "Verdict: no", "who knows"])
    assert (check.score, check.detail) == (pytest.approx(2 / 3), "2 yes, 1 no, 1 unreadable")
    assert model_check(candidate(7), ["who knows"]).score is None


# ---- the stage ------------------------------------------------------------------------------------------------------------------


class Verified(NamedTuple):
    """What the stage left."""

    metrics: dict[str, Any]
    checks: list[Check]


def verified(home: Path, cast: list[Candidate], exam: list[Problem], **fields: object) -> Verified:
    """The stage with a model that always says yes to candidates of an even index."""
    keys = [(f"{one.problem}/verify/{one.index}/{number}", one.index) for one in cast for number in range(3)]
    replies = [json.dumps({"key": key, "reply": f"Verdict: {'no' if index % 2 else 'yes'}"}) for key, index in keys]
    (home / "replies.jsonl").write_text("\n".join(replies) + "\n", encoding="utf-8")
    rows.write(home / "candidates.parquet", cast, Candidate)
    rows.write(home / "problems.parquet", exam, Problem)
    usual = {"seed": 1, "top": 2, "reruns": 8, "model_samples": 0, "prompt": "verify", "engine": "scripted", "engine_by_format": {}}
    settings = Verify.model_validate({**usual, "summary_chars": 3000, "max_tokens": 100, "temperature": 0.7, "num_concurrent": 2, **fields})
    metrics = verify(
        settings, Engines.load(ROOT / "params.yaml"), config(), AIMO2, HOSTS, CAPACITY, candidates=home / "candidates.parquet",
        problems=home / "problems.parquet", model=home / "replies.jsonl", out=home / "out.parquet", work=home / "work",
    )  # fmt: skip
    return Verified(metrics, list(rows.read(home / "out.parquet", Check)))


REMAINDER = "Find the remainder when $N$ is divided by 100."


def test_only_the_leading_answers_of_disputed_problems_are_checked(tmp_path: Path) -> None:
    agreed = [candidate(7, "agreed", index, runs=(run(),)) for index in range(3)]
    split = [candidate(answer, "split", index, runs=(run(),)) for index, answer in enumerate([7, 7, 120, 120, 5])]
    silent = [candidate(None, "silent"), candidate(7, "silent", 1)]
    found = verified(tmp_path, [*agreed, *split, *silent], [problem(name, 7, REMAINDER) for name in ("agreed", "split", "silent")])
    assert {check.problem for check in found.checks} == {"split"}
    told = {(check.kind, check.candidate): check.score for check in found.checks}
    assert told == {
        ("constraint", 0): 1.0, ("constraint", 2): 0.0,  # 120 is no remainder
        ("rerun", 0): 1.0, ("rerun", 1): 1.0, ("rerun", 2): 0.0, ("rerun", 3): 0.0,
    }  # fmt: skip
    assert found.metrics["rerun"]["mean_score"] == {"correct": 1.0, "incorrect": 0.0}


def test_a_model_is_asked_about_one_candidate_per_answer(tmp_path: Path) -> None:
    cast = [candidate(answer, "p", index) for index, answer in enumerate([7, 3, 7, 3])]
    found = verified(tmp_path, cast, [problem("p")], model_samples=3)
    told = {check.candidate: (check.score, check.detail) for check in found.checks if check.kind == "model"}
    assert told == {0: (1.0, "3 yes, 0 no, 0 unreadable"), 1: (0.0, "0 yes, 3 no, 0 unreadable")}


def test_an_exam_without_dispute_opens_neither_sandbox_nor_engine(tmp_path: Path) -> None:
    found = verified(tmp_path, [candidate(7, "p", index, runs=(run(),)) for index in range(2)], [problem("p")], engine="no such engine",
                     model_samples=1)  # fmt: skip
    assert found.checks == []
