"""Problems from files of others: any table whose columns the entry maps to statement and answer.

A file that cannot be read as it is described stops the stage. A row whose statement or answer cannot be used is dropped with its reason
or stops the stage, as the entry's `on_bad_answer` says: an exam that lost questions unnoticed is another exam.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from components.collect.source import Collect, seal, shown, unusable
from components.collect.tables import field, records
from components.core.errors import UserError
from components.core.params import Settings
from components.core.runner import Metrics
from components.core.types import Dropped, Problem
from components.lib.answers import Contest, gold


class File(Settings):
    """How one file's fields become a problem's."""

    name: Annotated[str, Field(min_length=1)]
    """The source, and the first part of every id."""
    path: str
    """From the project's root, or absolute."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    """Which bytes it holds; null: whichever lie there. DVC does not look at files that params.yaml names, but it does at this."""
    licence: str
    id: str | None
    """The field that holds the id; null: the row's number."""
    statement: str
    answer: str | None
    """The field that holds the answer; null: no row has one."""
    answer_pattern: str | None
    """Where in that field: a regular expression with one group, the last match counts. GSM8K: '#### (.+)$'."""
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
            if pattern is not None and re.compile(pattern).groups != 1:
                raise ValueError("wants exactly one group in parentheses")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class Source(Collect, section="collect", keyed=True):
    """Any number of files; none gives no rows."""

    kind: Literal["files"]
    files: list[File]

    def write(self, contest: Contest, out: Path) -> Metrics:
        measured = seal(out, "problems", Problem, self._rows(contest))
        return {**measured, "sha256": {file.name: _sha256(file) for file in self.files}}

    def _rows(self, contest: Contest) -> Iterator[Problem | Dropped]:
        seen: set[str] = set()
        for file in self.files:
            for number, record in records(Path(file.path)):
                if file.limit is not None and number > file.limit:
                    break
                where = f"{file.path}, row {number}"
                row = _row(file, number, record, where, contest)
                if row.id in seen:
                    raise UserError(f"{where}: the id '{row.id}' is there twice; map another field to id, or null for the row's number")
                seen.add(row.id)
                yield row


def _row(file: File, number: int, record: dict[str, Any], where: str, contest: Contest) -> Problem | Dropped:
    name = f"{file.name}-{_key(record, file.id, where) if file.id else number}"
    statement = field(record, file.statement, where)
    bad, detail, answer = unusable(statement), "", None
    if bad is None and file.answer is not None:
        answer, bad, detail = _answer(field(record, file.answer, where), file.answer_pattern, contest)
    if bad is None:
        group = f"{file.name}-{_key(record, file.group, where)}" if file.group else name
        return Problem(id=name, statement=statement, answer=answer, source=file.name, licence=file.licence, group=group)
    if file.on_bad_answer == "error":
        found = f"{bad}: {detail}" if detail else bad
        raise UserError(f"{where} ({name}): {found}; mend the row, or set on_bad_answer: drop for {file.name}")
    return Dropped(id=name, statement=shown(statement), reason=bad, detail=detail)


def _key(record: dict[str, Any], name: str, where: str) -> str:
    value = field(record, name, where)
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip() or shown(value) != str(value):
        raise UserError(f"{where}: the field '{name}' is no id: {value!r}")
    return str(value)


def _answer(value: Any, pattern: str | None, contest: Contest) -> tuple[int | None, str | None, str]:
    """The answer, or why there is none and what was found."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, "no answer", ""
    if not isinstance(value, str | int | float):
        return None, "answer not an integer", f"a {type(value).__name__}"
    if pattern is not None:
        found = re.findall(pattern, str(value), re.MULTILINE)
        if not found:
            return None, "no answer", f"nothing matches {pattern!r}"
        value = found[-1]
    try:
        return gold(value, contest), None, ""
    except ValueError as error:
        return None, "answer out of range" if "outside" in str(error) else "answer not an integer", shown(error)


def _sha256(file: File) -> str:
    """The digest of the file's bytes; raises UserError where the entry names another."""
    with Path(file.path).open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if file.sha256 not in (None, found):
        raise UserError(
            f"{file.path}: its SHA-256 is {found}, but the entry {file.name} names {file.sha256}; "
            "put the named file there, or write the new digest into params.yaml"
        )
    return found
