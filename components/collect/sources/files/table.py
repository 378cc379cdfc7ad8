"""Problems from files of others: any table whose columns the entry maps to statement and answer.

A file that cannot be read as it is described stops the stage; what becomes of a single row says field_map.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from components.collect.field_map import FieldMap, UniqueIds, to_problem
from components.collect.files import FileSource
from components.collect.readers import File, rows_of
from components.collect.source import write_rows
from components.core.runner import Metrics
from components.core.types import Dropped, Problem
from components.lib.answers import Contest


class Source(FieldMap, FileSource):
    """One table and its field map."""

    kind: Literal["table"]

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.check_licence()
        with self.files() as (files, digest):
            return {**write_rows(out, "problems", Problem, self._rows(files, contest)), "sha256": digest}

    def _rows(self, files: list[File], contest: Contest) -> Iterator[Problem | Dropped]:
        ids = UniqueIds()
        for number, (where, record) in enumerate(rows_of(files), 1):
            if self.limit is not None and number > self.limit:
                break
            found = to_problem(self, number, record, where, contest)
            ids.add(found.id, where)
            yield found
