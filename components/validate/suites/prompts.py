"""Expectations of prompts for reinforcement learning: a question that ends with the user, no loss, a gold that can be rewarded by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Prompt
from components.lib.answers import Contest
from components.validate import dataset_checks
from components.validate.check import Checks, Limits
from components.validate.messages import MESSAGE_COLUMNS, message_columns
from components.validate.overlap import ExamProblems, FirstSeen, SeenIds

COLUMNS = {**MESSAGE_COLUMNS, "gold": "int64", "same_question_as": "object"}


def checks(data: Path, exam: Path, limits: Limits, contest: Contest) -> list[Checks]:
    """The prompts, flattened, and what the set is as a whole."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    from components.validate.messages import expectations

    critical, warning = FailureSeverity.CRITICAL, FailureSeverity.WARNING
    each = [
        *expectations(limits, prompt_only=True),
        gxe.ExpectColumnValuesToBeBetween(column="gold", min_value=contest.low, max_value=contest.high, severity=critical),
        gxe.ExpectColumnValuesToBeInSet(column="same_question_as", value_set=["none"], severity=warning),
    ]
    return [Checks("prompts", COLUMNS, _rows(data, ExamProblems(exam)), each), *dataset_checks.checks(data, limits)]


def _rows(data: Path, exam: ExamProblems) -> Iterator[dict[str, Any]]:
    ids, questions = SeenIds(), FirstSeen()
    for prompt in rows.read(data / "prompts.parquet", Prompt):
        yield {
            **message_columns(prompt.id, prompt.problem, prompt.messages, (), ids, exam),
            "gold": prompt.gold,
            "same_question_as": questions.first_id("\n".join(message.content for message in prompt.messages), prompt.id),
        }
