r"""One record of a foreign table to one problem, by the field map of its entry in params.yaml.

Shared by every source whose rows are tables of others (tables in files, sets of a hub). A row whose statement or answer cannot be used is
dropped with its reason or stops the stage, as the entry's `on_bad_answer` says: an exam that lost questions unnoticed is another exam. A
row that brings its solution gives two rows, the problem and the solution. Does not know where the records came from.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from components.collect import solutions
from components.collect.readers import field
from components.collect.source import Collect, excerpt, statement_error, write_rows
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Dropped, Problem
from components.lib.answers import Contest, boxed, gold

BOXED = "boxed"


class FieldMap(Collect):
    """How one record's fields become a problem's. A field inside another is named with a dot: `conversations.0.value`."""

    use: Literal["train", "exam", "benchmark"]
    id: str | None
    """The field that holds the id; null: the row's number."""
    statement: str | None
    """null: the user's message in `messages`."""
    answer: str | None
    """The field that holds the answer; null: no row has one. Where it is the field of `solution` or `messages`, their text is read."""
    answer_pattern: str | None
    r"""Where in that field: `boxed`, or a regular expression with one group; the last match counts. GSM8K: '#### (.+)$'."""
    on_bad_answer: Literal["drop", "error", "keep"]
    """What becomes of a row whose answer is missing, no integer or outside the contest's range, or whose statement is unusable; keep: as
    drop, but where there is just no answer, the problem stays without one (for `curate.keep_unanswered`)."""
    group: str | None
    """Rows with the same value here stay on one side of a split; null: each row by itself."""
    limit: Annotated[int, Field(ge=1)] | None
    """Reads only so many rows."""
    one_per_statement: bool = False
    """Whether a row that repeats an earlier statement to the letter only adds its solution (sets with one row per solution)."""
    solution: str | None = None
    """The field that holds a written solution; it is trained on where its box holds the known answer."""
    messages: str | None = None
    """The field that holds a chat: its user's message is the statement, what its assistant says the solution (solutions.py)."""

    @model_validator(mode="after")
    def _one_statement(self) -> Self:
        if self.messages and (self.statement or self.solution):
            raise ValueError("`messages` holds statement and solution; set `statement` and `solution` to null")
        if not self.messages and not self.statement:
            raise ValueError("name the field that holds the statement, or `messages`")
        if self.use != "train" and (self.messages or self.solution):
            raise ValueError("only sources with `use: train` bring solutions")
        return self

    @field_validator("answer_pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            if pattern not in (None, BOXED) and re.compile(pattern or "").groups != 1:
                raise ValueError("wants exactly one group in parentheses, or the word `boxed`")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    def write_problems(self, records: Iterable[tuple[str, dict[str, Any]]], contest: Contest, out: Path) -> Metrics:
        """Writes the problems of these records, each with the words for where it stands, and the solutions that they bring."""
        counts = Counter[str](repeats=0)
        given = solutions.SolutionsFile(out) if self.messages or self.solution else None
        written = write_rows(out, "problems", Problem, _rows(self, records, contest, given, counts))
        return {**written, **counts, **({"solutions": given.seal(out / "problems.parquet")} if given else {})}


def _rows(
    field_map: FieldMap,
    records: Iterable[tuple[str, dict[str, Any]]],
    contest: Contest,
    given: solutions.SolutionsFile | None,
    counts: Counter[str],
) -> Iterator[Problem | Dropped]:
    """Problems, and what was left out; solutions go to `given`."""
    ids, said, num_kept = UniqueIds(), dict[bytes, int | None](), 0
    for number, (where, record) in enumerate(records, 1):
        if field_map.limit is not None and number > field_map.limit:
            break
        name = f"{field_map.name}-{_key(record, field_map.id, where) if field_map.id else number}"
        read = _read(field_map, record, where)
        digest = hashlib.blake2b(str(read.statement).encode("utf-8", "replace"), digest_size=8).digest()
        if field_map.one_per_statement and digest in said:
            counts["repeats"] += 1
            place = said[digest]
        else:
            ids.add(name, where)
            found = _to_problem(field_map, name, read, record, where, contest)
            place, num_kept = (num_kept, num_kept + 1) if isinstance(found, Problem) else (None, num_kept)
            if field_map.one_per_statement:
                said[digest] = place
            yield found
        if given is None or place is None or read.solution is None:
            continue
        try:
            given.add(place, solutions.candidate(solutions.written(read.solution), contest))
        except solutions.UnreadableError as reason:
            yield Dropped(id=f"{field_map.name}-{number}/solution", statement=excerpt(read.statement), reason=str(reason), detail="")


class Read(NamedTuple):
    """What one record's fields hold, as it stands there."""

    bad: str | None
    """Why there is no statement."""
    statement: Any
    answer: Any
    solution: Any
    """A text, or the messages that follow the question."""


def _read(field_map: FieldMap, record: dict[str, Any], where: str) -> Read:
    statement = field(record, field_map.messages or str(field_map.statement), where)
    answer = field(record, field_map.answer, where) if field_map.answer else None
    if field_map.messages is None:
        return Read(None, statement, answer, field(record, field_map.solution, where) if field_map.solution else None)
    try:
        chat = solutions.chat(statement)
    except solutions.UnreadableError as reason:
        return Read(str(reason), statement, None, None)
    return Read(None, chat.statement, chat.reply[-1]["content"] if field_map.answer == field_map.messages else answer, chat.reply)


def _to_problem(field_map: FieldMap, name: str, read: Read, record: dict[str, Any], where: str, contest: Contest) -> Problem | Dropped:
    """The problem in a record, or why there is none. Raises UserError naming `where` for a field that is not there."""
    bad, detail, answer = read.bad or statement_error(read.statement), "", None
    if bad is None and field_map.answer is not None:
        answer, bad, detail = _answer(read.answer, field_map.answer_pattern, contest)
    if bad is None or (bad == "no answer" and field_map.on_bad_answer == "keep"):
        group = f"{field_map.name}-{_key(record, field_map.group, where)}" if field_map.group else name
        return Problem(id=name, statement=read.statement, answer=answer, source=field_map.name, licence=field_map.licence, group=group)
    if field_map.on_bad_answer == "error":
        found = f"{bad}: {detail}" if detail else bad
        raise UserError(f"{where} ({name}): {found}; mend the row, or set {field_map.where}.on_bad_answer: drop")
    return Dropped(id=name, statement=excerpt(read.statement), reason=bad, detail=detail)


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
