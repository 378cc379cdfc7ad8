"""Expectations of a folder of problems: every row whole, every answer legal, nothing of the exam on the training side.

Reads train, practice, exam and dropped problems as curate writes them. Their schema is checked by reading them: a missing column or a
wrong type raises there, naming file, row and field.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from components.core import rows
from components.core.types import Dropped, Problem
from components.lib.answers import Contest
from components.validate.check import Checks, Limits

if TYPE_CHECKING:
    import pandas as pd

SETS = ("train", "practice", "exam")


def checks(data: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The rows of all sets, and one row of facts about each set."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    by_set = {name: list(rows.read(data / f"{name}.parquet", Problem)) for name in SETS}
    num_dropped = sum(1 for _ in rows.read(data / "dropped.parquet", Dropped))
    each = [
        gxe.ExpectColumnValuesToBeUnique(column="id", severity=critical),
        gxe.ExpectColumnValuesToNotBeNull(column="answer", severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="answer", min_value=contest.low, max_value=contest.high, severity=critical),
        gxe.ExpectColumnValueLengthsToBeBetween(column="statement", min_value=1, max_value=limits.max_statement_chars, severity=critical),
        gxe.ExpectColumnValuesToMatchRegex(column="statement", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToNotMatchRegex(column="statement", regex="\ufffd", severity=warning),
        gxe.ExpectColumnValuesToMatchRegex(column="licence", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToMatchRegex(column="group", regex=r"\S", severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="shared_with_exam", value_set=["nothing"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="shared_with_train", value_set=["nothing"], severity=critical),
        gxe.ExpectColumnValuesToBeUnique(column="wording", severity=warning),
    ]
    whole = [
        gxe.ExpectColumnValuesToBeBetween(column="train", min_value=limits.min_rows, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="practice", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="exam", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="share_dropped", max_value=limits.max_share_dropped, severity=warning),
    ]
    return [Checks("problems", _rows(by_set), each), Checks("problem sets", _facts(data, by_set, num_dropped), whole)]


def _rows(by_set: dict[str, list[Problem]]) -> "pd.DataFrame":
    import pandas as pd

    columns = ("id", "statement", "licence", "group")
    problems = [(name, problem) for name in SETS for problem in by_set[name]]
    frame = pd.DataFrame({column: [getattr(problem, column) for _, problem in problems] for column in columns}, dtype=object)
    frame["answer"] = pd.array([problem.answer for _, problem in problems], dtype="Int64")
    frame["wording"] = [_wording(problem) for _, problem in problems]
    exam, train = _Known(by_set["exam"]), _Known(by_set["train"])
    frame["shared_with_exam"] = ["nothing" if name == "exam" else exam.shared(problem) for name, problem in problems]
    frame["shared_with_train"] = [train.shared(problem) if name == "practice" else "nothing" for name, problem in problems]
    return frame


def _facts(data: Path, by_set: dict[str, list[Problem]], num_dropped: int) -> "pd.DataFrame":
    import pandas as pd

    num_kept = sum(map(len, by_set.values()))
    counts = {name: len(problems) for name, problems in by_set.items()}
    return pd.DataFrame([{"id": data.name, **counts, "share_dropped": num_dropped / ((num_dropped + num_kept) or 1)}])


class _Known:
    """What a set holds, by id, statement and group."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        held = list(problems)
        self._ids = {problem.id for problem in held}
        self._wordings = {_wording(problem) for problem in held}
        self._groups = {problem.group for problem in held}

    def shared(self, problem: Problem) -> str:
        """What a problem has in common with the set."""
        if problem.id in self._ids:
            return "id"
        if _wording(problem) in self._wordings:
            return "statement"
        return "group" if problem.group in self._groups else "nothing"


def _wording(problem: Problem) -> str:
    return " ".join(problem.statement.split()).casefold()
