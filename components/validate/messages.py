"""What holds for the messages of every kind of training row, as columns and as expectations of them."""

from collections.abc import Sequence
from typing import Any

from components.core.types import Message
from components.validate.check import Limits
from components.validate.overlap import ExamProblems, SeenIds

MESSAGE_COLUMNS = {
    "id": "object",
    "id_seen": "object",
    "question_chars": "int64",
    "shared_with_exam": "object",
    "num_loss_messages": "int64",
    "loss_outside_assistant": "object",
    "last_role": "object",
}


def message_columns(
    name: str, problem: str, asked: Sequence[Message], answered: Sequence[Message], ids: SeenIds, exam: ExamProblems
) -> dict[str, Any]:
    """The columns of one row; `answered` is what the model is to write, tool outputs included."""
    question = "\n".join(message.content for message in asked if message.role == "user")
    messages = [*asked, *answered]
    elsewhere = sorted({message.role for message in messages if message.loss and message.role != "assistant"})
    return {
        "id": name,
        "id_seen": ids.occurrence(name),
        "question_chars": len(question.strip()),
        "shared_with_exam": exam.shared(problem, question),
        "num_loss_messages": sum(message.loss and bool(message.content.strip()) for message in messages),
        "loss_outside_assistant": ", ".join(elsewhere) or "none",
        "last_role": messages[-1].role if messages else "none",
    }


def expectations(limits: Limits, *, prompt_only: bool = False) -> list[Any]:
    """Of these columns; a prompt that is answered later carries no loss and ends with the user."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    critical = FailureSeverity.CRITICAL
    loss = {"max_value": 0} if prompt_only else {"min_value": 1}
    return [
        gxe.ExpectColumnValuesToBeInSet(column="id_seen", value_set=["once"], severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="question_chars", min_value=1, max_value=limits.max_statement_chars, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="shared_with_exam", value_set=["nothing"], severity=critical),
        gxe.ExpectColumnValuesToBeBetween(column="num_loss_messages", severity=critical, **loss),
        gxe.ExpectColumnValuesToBeInSet(column="loss_outside_assistant", value_set=["none"], severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="last_role", value_set=["user" if prompt_only else "assistant"], severity=critical),
    ]
