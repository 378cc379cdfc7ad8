"""Expectations of pairs for preference training: two different answers of the assistant to one question, tool output without loss.

The columns of a row are those of its chosen side; the rejected side has its own where the two can differ.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Preference
from components.lib.answers import Contest
from components.validate import dataset_checks
from components.validate.check import Checks, Limits
from components.validate.messages import MESSAGE_COLUMNS, message_columns
from components.validate.overlap import ExamProblems, SeenIds

COLUMNS = {
    **MESSAGE_COLUMNS,
    "rejected_num_loss_messages": "int64",
    "rejected_loss_outside_assistant": "object",
    "rejected_last_role": "object",
    "completions_differ": "bool",
}


def checks(data: Path, exam: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The pairs, flattened, and what the set is as a whole."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    from components.validate.messages import expectations

    critical = FailureSeverity.CRITICAL
    each = [
        *expectations(limits),
        gxe.ExpectColumnValuesToBeBetween(column="rejected_num_loss_messages", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="rejected_loss_outside_assistant", value_set=["none"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="rejected_last_role", value_set=["assistant"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="completions_differ", value_set=[True], severity=critical),
    ]
    return [Checks("preferences", COLUMNS, _rows(data, ExamProblems(exam)), each), *dataset_checks.checks(data, limits)]


def _rows(data: Path, exam: ExamProblems) -> Iterator[dict[str, Any]]:
    ids, unused = SeenIds(), SeenIds()
    for pair in rows.read(data / "preferences.parquet", Preference):
        other = message_columns(pair.id, pair.problem, (), pair.rejected, unused, exam)
        yield {
            **message_columns(pair.id, pair.problem, pair.messages, pair.chosen, ids, exam),
            **{f"rejected_{name}": other[name] for name in ("num_loss_messages", "loss_outside_assistant", "last_role")},
            "completions_differ": "".join(one.content for one in pair.chosen) != "".join(one.content for one in pair.rejected),
        }
