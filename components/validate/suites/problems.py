"""Expectations of a folder of problems: every row whole, every answer legal, nothing of the exam on the training side.

Reads train, practice, exam and dropped problems as curate writes them. Their schema is checked by reading them: a missing column or a
wrong type raises there, naming file, row and field.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Dropped, Problem
from components.lib.answers import Contest
from components.validate.check import Checks, Limits
from components.validate.overlap import FirstSeen, ProblemSet, SeenIds, normalised

SETS = ("train", "practice", "exam")
COLUMNS = {
    "id": "object",
    "id_seen": "object",
    "statement": "object",
    "licence": "object",
    "group": "object",
    "answer": "Int64",
    "same_statement_as": "object",
    "shared_with_exam": "object",
    "shared_with_train": "object",
}


def checks(data: Path, exam: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The rows of all sets, and one row of stats about each set."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    counts: Counter[str] = Counter()
    each = [
        gxe.ExpectColumnValuesToBeInSet(column="id_seen", value_set=["once"], severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="answer", min_value=contest.low, max_value=contest.high, severity=critical),
        gxe.ExpectColumnValueLengthsToBeBetween(column="statement", min_value=1, max_value=limits.max_statement_chars, severity=critical),
        gxe.ExpectColumnValuesToMatchRegex(column="statement", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToNotMatchRegex(column="statement", regex="\ufffd", severity=warning),
        gxe.ExpectColumnValuesToMatchRegex(column="licence", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToMatchRegex(column="group", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="shared_with_exam", value_set=["nothing"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="shared_with_train", value_set=["nothing"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="same_statement_as", value_set=["none"], severity=warning),
    ]
    unanswered = limits.max_share_unanswered
    if not unanswered:
        each.append(gxe.ExpectColumnValuesToNotBeNull(column="answer", severity=critical))
    whole = [
        gxe.ExpectColumnValuesToBeBetween(column="train", min_value=limits.min_rows, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="practice", min_value=min(1, limits.min_rows), severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="exam", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="share_dropped", max_value=limits.max_share_dropped, severity=warning),
    ]
    if unanswered:
        whole.append(gxe.ExpectColumnValuesToBeBetween(column="share_unanswered", max_value=unanswered, severity=critical))
    stats = {"id": "object", **dict.fromkeys(SETS, "int64"), "share_dropped": "float64", "share_unanswered": "float64"}
    return [Checks("problems", COLUMNS, _rows(data, exam, counts), each), Checks("problem sets", stats, _stats(data, counts), whole)]


def _rows(data: Path, exam: Path, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """All sets in one stream, counted by set on the way."""
    asked, train, ids, wordings = ProblemSet(rows.read(exam, Problem)), ProblemSet(), SeenIds(), FirstSeen()
    for name in SETS:
        for problem in rows.read(data / f"{name}.parquet", Problem):
            counts[name] += 1
            counts["unanswered"] += problem.answer is None
            if name == "train":
                train.add(problem)
            yield {
                **{column: getattr(problem, column) for column in ("id", "statement", "licence", "group", "answer")},
                "id_seen": ids.occurrence(problem.id),
                "same_statement_as": wordings.first_id(normalised(problem.statement), problem.id),
                "shared_with_exam": "nothing" if name == "exam" else asked.shared(problem),
                "shared_with_train": train.shared(problem) if name == "practice" else "nothing",
            }


def _stats(data: Path, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """One row, read after the problems' own."""
    num_dropped = sum(1 for _ in rows.read(data / "dropped.parquet", Dropped))
    sizes = {name: counts[name] for name in SETS}
    kept = sum(sizes.values())
    shares = {"share_dropped": num_dropped / ((num_dropped + kept) or 1), "share_unanswered": counts["unanswered"] / (kept or 1)}
    yield {"id": data.name, **sizes, **shares}
