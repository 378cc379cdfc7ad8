r"""One record of a foreign table to one problem, by the field map of its entry in params.yaml.

Shared by every source whose rows are tables of others (tables in files, sets of a hub). A row whose statement or answer cannot be used is
dropped with its reason or stops the stage, as the entry's `on_bad_answer` says: an exam that lost questions unnoticed is another exam. Does
not know where the records came from.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from components.collect.readers import field
from components.collect.source import Collect, excerpt, statement_error
from components.core.errors import UserError
from components.core.types import Dropped, Problem
from components.lib.answers import Contest, boxed, gold

BOXED = "boxed"


class FieldMap(Collect):
    """How one record's fields become a problem's. A field inside another is named with a dot: `conversations.0.value`."""

    use: Literal["train", "exam", "benchmark"]
    id: str | None
    """The field that holds the id; null: the row's number."""
    statement: str
    answer: str | None
    """The field that holds the answer; null: no row has one."""
    answer_pattern: str | None
    r"""Where in that field: `boxed`, or a regular expression with one group; the last match counts. GSM8K: '#### (.+)$'."""
    on_bad_answer: Literal["drop", "error"]
    """What becomes of a row whose answer is missing, no integer or outside the contest's range, or whose statement is unusable."""
    group: str | None
    """Rows with the same value here stay on one side of a split; null: each row by itself."""
    limit: Annotated[int, Field(ge=1)] | None
    """Reads only so many rows."""

    @field_validator("answer_pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern not in (None, BOXED) and re.compile(pattern or "").groups != 1:
                raise ValueError("wants exactly one group in parentheses, or the word `boxed`")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


def to_problem(field_map: FieldMap, number: int, record: dict[str, Any], where: str, contest: Contest) -> Problem | Dropped:
    """The problem in a record, or why there is none. Raises UserError naming `where` for a field that is not there."""
    name = f"{field_map.name}-{_key(record, field_map.id, where) if field_map.id else number}"
    statement = field(record, field_map.statement, where)
    bad, detail, answer = statement_error(statement), "", None
    if bad is None and field_map.answer is not None:
        answer, bad, detail = _answer(field(record, field_map.answer, where), field_map.answer_pattern, contest)
    if bad is None:
        group = f"{field_map.name}-{_key(record, field_map.group, where)}" if field_map.group else name
        return Problem(id=name, statement=statement, answer=answer, source=field_map.name, licence=field_map.licence, group=group)
    if field_map.on_bad_answer == "error":
        found = f"{bad}: {detail}" if detail else bad
        raise UserError(f"{where} ({name}): {found}; mend the row, or set {field_map.where}.on_bad_answer: drop")
    return Dropped(id=name, statement=excerpt(statement), reason=bad, detail=detail)


class UniqueIds:
    """The ids seen so far; raises UserError where one comes again."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, name: str, where: str) -> None:
        if name in self._seen:
            raise UserError(f"{where}: the id '{name}' is there twice; map another field to id, or null for the row's number")
        self._seen.add(name)


def _key(record: dict[str, Any], name: str, where: str) -> str:
    value = field(record, name, where)
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip() or excerpt(value) != str(value):
        raise UserError(f"{where}: the field '{name}' is no id: {value!r}")
    return str(value)


def _answer(value: Any, pattern: str | None, contest: Contest) -> tuple[int | None, str | None, str]:
    """The answer, or why there is none and what was found."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, "no answer", ""
    if not isinstance(value, str | int | float):
        return None, "answer not an integer", f"a {type(value).__name__}"
    if pattern is not None:
        found = boxed(str(value)) if pattern == BOXED else next(reversed(re.findall(pattern, str(value), re.MULTILINE)), None)
        if found is None:
            return None, "no answer", f"nothing matches {pattern!r}"
        value = found
    try:
        return gold(value, contest), None, ""
    except ValueError as error:
        return None, "answer out of range" if "outside" in str(error) else "answer not an integer", excerpt(error)
