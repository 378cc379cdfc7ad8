"""Public problems and model outputs as our own rows: GSM8K and MATH with their golds, ToRA's tool traces, Qwen's eight samples each."""

import csv
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.types import Candidate, CodeRun, Problem
from components.lib import answers
from components.lib.answers import Contest
from components.lib.tool_syntax import OPENMATH, output_block
from tests.row_fixtures import candidate

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
CONTEST = Contest(low=0, high=999, modulus=None)
"""These sets are not of the contest: an answer beyond its range abstains, and is not reduced to another."""
_BLOCK = re.compile(r"```python\n(.*?)\n?```(?:\s*```output\n(.*?)\n?```\n?)?", re.DOTALL)
_ERROR = re.compile(r"\w*(Error|Exception|Timeout)\b", re.IGNORECASE)


def lines(path: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def gsm8k(part: str) -> list[Problem]:
    """With the golds of `#### N`."""
    rows = lines(f"gsm8k/{part}.jsonl.gz")
    golds = ((row["question"], row["answer"].rpartition("####")[2].strip()) for row in rows)
    return [_problem(f"gsm8k-{part}-{i}", question, gold, "gsm8k", "MIT") for i, (question, gold) in enumerate(golds)]


def math() -> list[Problem]:
    """The 5,000 test problems of MATH, with what their solutions box last."""
    rows = lines("math/test_5000.jsonl.gz")
    golds = ((row["idx"], row["problem"], answers.parse(row["solution"], CONTEST)) for row in rows)
    return [_problem(f"math-{idx}", question, str(read.answer), "math", "MIT") for idx, question, read in golds]


def qwen() -> tuple[list[Problem], list[Candidate]]:
    """A hundred problems of MATH and eight chains of thought for each."""
    problems, tried = [], []
    for row in lines("samples_qwen_rm_maj8/math_cot_100.jsonl.gz"):
        problems.append(_problem(f"math-{row['idx']}", row["question"], row["gt"], "math", "MIT"))
        tried += [_attempt(problems[-1], i, text, "cot") for i, text in enumerate(row["code"])]
    return problems, tried


def tora(problems: list[Problem]) -> list[Candidate]:
    """Two models' traces of the GSM8K test problems, theirs in our tags."""
    models = [list(lines(f"tora_tir/{name}_gsm8k.jsonl.gz")) for name in ("tora-70b-v1.0", "tora-code-34b-v1.0")]
    by_question: list[dict[str, str]] = [{row["question"]: row["code"][0] for row in rows} for rows in models]
    return [
        _attempt(one, i, texts[one.statement], "tir") for one in problems for i, texts in enumerate(by_question) if one.statement in texts
    ]


def aime25() -> list[Problem]:
    with (DATA / "aime25/aime_2025_30.csv").open(encoding="utf-8", newline="") as file:
        return [_problem(f"aime25-{row['id']}", row["question"], row["answer"], "aime25", "Apache-2.0") for row in csv.DictReader(file)]


def _problem(name: str, statement: str, gold: str, source: str, licence: str) -> Problem:
    """A gold that is no integer of the contest is none."""
    try:
        answer = answers.gold(gold, CONTEST)
    except ValueError:
        answer = None
    return Problem(id=name, statement=statement, answer=answer, source=source, licence=licence, group=name)


def _attempt(problem: Problem, index: int, told: str, mode: str) -> Candidate:
    text, runs = _retagged(told) if mode == "tir" else (told, ())  # what a chain of thought shows as output no one ran
    read = answers.parse(text, CONTEST)
    fields = {"text": text, "runs": runs, "boxed": read.answer, "abstained": read.reason, "mode": mode, "num_tokens": len(text) // 4}
    return candidate(read.answer, problem.id, index, **fields)


def _retagged(told: str) -> tuple[str, tuple[CodeRun, ...]]:
    """A block that has no output stays one without; so does a fence that was never closed."""
    runs = []

    def block(found: re.Match[str]) -> str:
        code, output = found.groups()
        if output is None:
            return f"{OPENMATH.begin}\n{code}\n{OPENMATH.end}"
        failed = _ERROR.match(output.strip().splitlines()[-1]) if output.strip() else None
        runs.append(CodeRun(code=code, output=output, status="error" if failed else "ok"))
        return f"{OPENMATH.begin}\n{code}\n{OPENMATH.end}{output_block(output)}"

    return _BLOCK.sub(block, told), tuple(runs)
