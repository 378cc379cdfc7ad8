"""Expectations of a training set: each row teaches something, and only what the model itself has to write.

Reads examples and dropped rows as compose writes them. A tool's output that carried loss would teach the model to invent outputs; a row
without loss, or one that does not end in the assistant's words, would teach nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.core import rows
from components.core.types import Dropped, Example
from components.lib.answers import Contest
from components.validate.check import Checks, Limits

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("id", "kind", "num_loss", "loss_elsewhere", "last_role", "question_chars", "code_ran", "text")


def checks(data: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The rows, flattened, and one row of facts about the set."""
    import great_expectations.expectations as gxe
    import pandas as pd
    from great_expectations.expectations.metadata_types import FailureSeverity

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    examples = list(rows.read(data / "examples.parquet", Example))
    num_dropped = sum(1 for _ in rows.read(data / "dropped.parquet", Dropped))
    facts = {"id": data.name, "rows": len(examples), "share_dropped": num_dropped / ((num_dropped + len(examples)) or 1)}
    each = [
        gxe.ExpectColumnValuesToBeUnique(column="id", severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=limits.kinds, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="num_loss", min_value=1, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="loss_elsewhere", value_set=["none"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="last_role", value_set=["assistant"], severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="question_chars", min_value=1, max_value=limits.max_statement_chars, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="code_ran", value_set=[True], severity=critical),
        gxe.ExpectColumnValuesToBeUnique(column="text", severity=warning),
    ]
    whole = [
        gxe.ExpectColumnValuesToBeBetween(column="rows", min_value=limits.min_rows, severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="share_dropped", max_value=limits.max_share_dropped, severity=warning),
    ]
    return [Checks("examples", _rows(examples), each), Checks("training set", pd.DataFrame([facts]), whole)]


def _rows(examples: Sequence[Example]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame([_flat(example) for example in examples], columns=COLUMNS)


def _flat(example: Example) -> dict[str, str | int | bool]:
    messages = example.messages
    asked = [message.content for message in messages if message.role == "user"]
    elsewhere = sorted({message.role for message in messages if message.loss and message.role != "assistant"})
    return {
        "id": example.id,
        "kind": example.kind,
        "num_loss": sum(message.loss and bool(message.content.strip()) for message in messages),
        "loss_elsewhere": ", ".join(elsewhere) or "none",
        "last_role": messages[-1].role if messages else "none",
        "question_chars": len("".join(asked).strip()),
        "code_ran": example.kind != "tir" or any(message.role == "tool" for message in messages),
        "text": "\n".join(message.content for message in messages),
    }
