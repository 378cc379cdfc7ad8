"""Tool-use samples of a 7B model on 5 problems of AIMO-1, from 1,157 runs of a competitor (numbers only; LittleDijkstraZ/AIMO).

Reads samples.jsonl.gz and runs.jsonl, and the answers from aimo1_reference.csv in the folder beside (../aimo_reference) or in the source. A
problem here is one of the five in one group of runs, since groups were sampled with different prompts; Problem.group is the contest's
problem, so no interval and no split takes them for independent. Tokens and seconds were not logged: a token is taken as 4 characters, an
attempt's seconds as its tokens at 50 per second. Samples that the run's own early stop skipped never began and are left out; unfinished
ones are kept as cancelled. An answer above 999 is taken modulo 1000, as the runs did; one of more than 12 digits, a negative one and an
expression abstain. The last code result votes where the text has no answer.
"""

import csv
from collections import Counter, defaultdict
from pathlib import Path

from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.lib.answers import Contest
from components.replay.pools.reader import ImportedPool, candidate, read_jsonl

CONTEST = Contest(low=0, high=999, modulus=1000)
CHARS_PER_TOKEN, TOKENS_PER_S = 4, 50.0


def read(source: Path) -> ImportedPool:
    known = _reference(source)
    groups = {run["run"]: run["group"] for run in read_jsonl(source / "runs.jsonl")}
    found: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    dropped = Counter[str]()
    for sample in read_jsonl(source / "samples.jsonl.gz"):
        asked, group = sample["problem_id"], groups[sample["run"]]
        if sample["status"] == "skipped":
            dropped["samples that never began"] += 1
            continue
        tokens = max(1, sample["chars"] // CHARS_PER_TOKEN)
        row = candidate(
            f"{asked}-{group}",
            len(found[asked, group]),
            CONTEST,
            answer=(sample["boxed"] or [sample["text_answer"] or ""])[-1],
            printed=sample["last_code_result"] or "",
            num_tokens=tokens,
            seconds=round(tokens / TOKENS_PER_S, 3),
            mode="tir" if sample["code_runs"] else "cot",
            finish_reason="stop" if sample["status"] == "ok" else "cancelled",
        )
        found[asked, group].append(row)
    problems = [_problem(asked, group, known) for asked, group in sorted(found)]
    return ImportedPool(problems, [row for key in sorted(found) for row in found[key]], dict(dropped))


def _problem(asked: str, group: str, known: dict[str, tuple[str, int]]) -> Problem:
    if asked not in known:
        raise UserError(f"aimo1_reference.csv: no problem '{asked}', which samples.jsonl.gz answers")
    statement, answer = known[asked]
    return Problem(
        id=f"{asked}-{group}",
        statement=statement,
        answer=answer,
        source="AIMO-1 runs of a 7B model",
        licence="none stated: numbers only",
        group=asked,
    )


def _reference(source: Path) -> dict[str, tuple[str, int]]:
    """Statement and answer by the contest's id."""
    places = [source / "aimo1_reference.csv", source.parent / "aimo_reference" / "aimo1_reference.csv"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise UserError(f"{places[0]}: no such file, nor {places[1]}; it holds the problems' answers")
    with file.open(encoding="utf-8", newline="") as table:
        return {row["id"]: (row["problem"], int(row["answer"])) for row in csv.DictReader(table)}
