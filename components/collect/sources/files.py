"""Problems from files of others: any table whose columns the entry maps to statement and answer.

A file that cannot be read as it is described stops the stage; what becomes of a single row says mapped.py.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from components.collect.mapped import Ids, Table, row
from components.collect.source import Collect, seal
from components.collect.tables import records
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Dropped, Problem
from components.lib.answers import Contest


class File(Table):
    """One file and its field map."""

    path: str
    """From the project's root, or absolute."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    """Which bytes it holds; null: whichever lie there. DVC does not look at files that params.yaml names, but it does at this."""


class Source(Collect, section="collect", keyed=True):
    """Any number of files; none gives no rows."""

    kind: Literal["files"]
    files: list[File]

    def write(self, contest: Contest, out: Path) -> Metrics:
        for file in self.files:
            self.allow(file.licence, f"the file {file.name}")
        measured = seal(out, "problems", Problem, self._rows(contest))
        return {**measured, "sha256": {file.name: _sha256(file) for file in self.files}}

    def _rows(self, contest: Contest) -> Iterator[Problem | Dropped]:
        ids = Ids()
        for file in self.files:
            for number, record in records(Path(file.path)):
                if file.limit is not None and number > file.limit:
                    break
                where = f"{file.path}, row {number}"
                found = row(file, number, record, where, contest)
                ids.add(found.id, where)
                yield found


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
