"""Expectations of pairs for preference training: two different answers of the assistant to one question, tool output without loss.

The columns of a row are those of its chosen side; the rejected side has its own where the two can differ.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Preference
from components.lib.answers import Contest
from components.validate import whole
from components.validate.check import Checks, Limits
from components.validate.known import Exam, Once
from components.validate.messages import TYPES, flat

COLUMNS = {
    **TYPES,
    "rejected_num_loss": "int64",
    "rejected_loss_elsewhere": "object",
    "rejected_last_role": "object",
    "sides_differ": "bool",
}


def checks(data: Path, exam: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The pairs, flattened, and what the set is as a whole."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    from components.validate.messages import expectations

    critical = FailureSeverity.CRITICAL
    each = [
        *expectations(limits),
        gxe.ExpectColumnValuesToBeBetween(column="rejected_num_loss", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="rejected_loss_elsewhere", value_set=["none"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="rejected_last_role", value_set=["assistant"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="sides_differ", value_set=[True], severity=critical),
    ]
    return [Checks("preferences", COLUMNS, _rows(data, Exam(exam)), each), *whole.checks(data, limits)]


def _rows(data: Path, exam: Exam) -> Iterator[dict[str, Any]]:
    ids, unused = Once(), Once()
    for pair in rows.read(data / "preferences.parquet", Preference):
        other = flat(pair.id, pair.problem, (), pair.rejected, unused, exam)
        yield {
            **flat(pair.id, pair.problem, pair.messages, pair.chosen, ids, exam),
            **{f"rejected_{name}": other[name] for name in ("num_loss", "loss_elsewhere", "last_role")},
            "sides_differ": "".join(one.content for one in pair.chosen) != "".join(one.content for one in pair.rejected),
        }
