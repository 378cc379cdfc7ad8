"""Expectations of a training set: each row teaches something, and only what the model itself has to write.

Reads examples as compose writes them. A tool's output that carried loss would teach the model to invent outputs; a row without loss, or one
that does not end in the assistant's words, would teach nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Example
from components.lib.answers import Contest
from components.validate import dataset_checks
from components.validate.check import Checks, Limits
from components.validate.messages import MESSAGE_COLUMNS, message_columns
from components.validate.overlap import ExamProblems, FirstSeen, SeenIds

COLUMNS = {**MESSAGE_COLUMNS, "kind": "object", "code_ran": "bool", "same_text_as": "object"}


def checks(data: Path, exam: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The rows, flattened, and what the set is as a whole."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    from components.validate.messages import expectations

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    each = [
        *expectations(limits),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=limits.kinds, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="code_ran", value_set=[True], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="same_text_as", value_set=["none"], severity=warning),
    ]
    return [Checks("examples", COLUMNS, _rows(data, ExamProblems(exam)), each), *dataset_checks.checks(data, limits)]


def _rows(data: Path, exam: ExamProblems) -> Iterator[dict[str, Any]]:
    ids, texts = SeenIds(), FirstSeen()
    for example in rows.read(data / "examples.parquet", Example):
        asked = [message for message in example.messages if message.role in ("system", "user")]
        answered = [message for message in example.messages if message.role not in ("system", "user")]
        yield {
            **message_columns(example.id, example.problem, asked, answered, ids, exam),
            "kind": example.kind,
            "code_ran": example.kind != "tir" or any(message.role == "tool" for message in answered),
            "same_text_as": texts.first_id("\n".join(message.content for message in example.messages), example.id),
        }
