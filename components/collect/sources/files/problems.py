r"""Problems from a file of others whose fields have usual names, so that no field map has to be written.

The first row says which: a statement under problem, question or statement; an answer under answer, expected_answer, final_answer or
solution, as it is, behind GSM8K's `####`, or in the last box. All rows are read so, as table.py reads them; a row's number is its id.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from components.collect.field_map import BOXED
from components.collect.files import FileSource
from components.collect.readers import rows_of
from components.collect.sources.files import table
from components.core.errors import UserError
from components.core.runner import Metrics
from components.lib.answers import Contest

STATEMENTS = ("problem", "question", "statement")
ANSWERS = ("answer", "expected_answer", "final_answer", "solution")
GSM8K = "#### (.+)$"


class Source(FileSource):
    """One file, or a folder of files with equal fields."""

    kind: Literal["problems"]
    limit: Annotated[int, Field(ge=1)] | None
    """Reads only so many rows."""

    def write(self, contest: Contest, out: Path) -> Metrics:
        with self.files() as (files, _):
            where, first = next(rows_of(files))
        statement, answer = _named(first, STATEMENTS, where), _named(first, ANSWERS, where)
        given = self.model_dump() | {"kind": "table", "id": None, "statement": statement, "answer": answer, "group": None}
        whole = table.Source.model_validate({**given, "answer_pattern": _pattern(first[answer]), "on_bad_answer": "drop"})
        whole._key = self._key
        return whole.write(contest, out)


def _named(record: Mapping[str, Any], usual: Sequence[str], where: str) -> str:
    """The first of the usual names that the record has, however it is written."""
    written = {name.lower(): name for name in record}
    for name in usual:
        if name in written:
            return written[name]
    raise UserError(f"{where}: no field {' or '.join(usual)}; it has: {', '.join(record)}; rename one, or write an entry of `kind: table`")


def _pattern(answer: object) -> str | None:
    if re.search(GSM8K, str(answer), re.MULTILINE):
        return GSM8K
    return BOXED if "\\boxed" in str(answer) else None
