"""Problems from files of others: any table whose columns the entry maps to statement and answer.

A file that cannot be read as it is described stops the stage; what becomes of a single row says mapped.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from components.collect.files import FileSource
from components.collect.mapped import Ids, Table, row
from components.collect.source import seal
from components.collect.tables import File, rows_of
from components.core.runner import Metrics
from components.core.types import Dropped, Problem
from components.lib.answers import Contest


class Source(Table, FileSource):
    """One table and its field map."""

    kind: Literal["table"]

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.allow()
        with self.files() as (files, digest):
            return {**seal(out, "problems", Problem, self._rows(files, contest)), "sha256": digest}

    def _rows(self, files: list[File], contest: Contest) -> Iterator[Problem | Dropped]:
        ids = Ids()
        for number, (where, record) in enumerate(rows_of(files), 1):
            if self.limit is not None and number > self.limit:
                break
            found = row(self, number, record, where, contest)
            ids.add(found.id, where)
            yield found
