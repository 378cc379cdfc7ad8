"""Expectations of prompts for reinforcement learning: a question that ends with the user, no loss, a gold that can be rewarded by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Prompt
from components.lib.answers import Contest
from components.validate import whole
from components.validate.check import Checks, Limits
from components.validate.known import Earlier, Exam, Once
from components.validate.messages import TYPES, flat

COLUMNS = {**TYPES, "gold": "int64", "same_question_as": "object"}


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
    return [Checks("prompts", COLUMNS, _rows(data, Exam(exam)), each), *whole.checks(data, limits)]


def _rows(data: Path, exam: Exam) -> Iterator[dict[str, Any]]:
    ids, questions = Once(), Earlier()
    for prompt in rows.read(data / "prompts.parquet", Prompt):
        yield {
            **flat(prompt.id, prompt.problem, prompt.messages, (), ids, exam),
            "gold": prompt.gold,
            "same_question_as": questions.row("\n".join(message.content for message in prompt.messages), prompt.id),
        }
