"""Problems from files of others: any table whose columns the entry maps to statement and answer.

A file that cannot be read as it is described stops the stage; what becomes of a single row says field_map.py.
"""

from pathlib import Path
from typing import Literal

from components.collect.field_map import FieldMap
from components.collect.files import FileSource
from components.collect.readers import rows_of
from components.core.runner import Metrics
from components.lib.answers import Contest


class Source(FieldMap, FileSource):
    """One table and its field map."""

    kind: Literal["table"]

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.check_licence()
        with self.files() as (files, digest):
            return {**self.write_problems(rows_of(files), contest, out), "sha256": digest}
