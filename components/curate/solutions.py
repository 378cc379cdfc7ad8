"""The solutions that sources brought along, of the problems that are left: a solution stays and goes with its problem.

Those of a problem that repeats another one go too: which of two wordings an answer was written for is not known here.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.core import joined
from components.core.types import Candidate
from components.lib.sources import SOLUTIONS

log = logging.getLogger(__name__)


def left(files: Mapping[Path, int], chosen: Any) -> Iterator[Candidate]:
    """Solutions of the chosen rows, in their order. `files`: each with its number of rows; `chosen`: of all rows, one by one."""
    first = gone = 0
    for problems, num_rows in files.items():
        solutions = problems.with_name(SOLUTIONS)
        if solutions.is_file():
            for row, (_, written, _) in enumerate(joined.read(problems, solutions), first):
                if chosen[row]:
                    yield from written
                else:
                    gone += len(written)
        first += num_rows
    if gone:
        log.info("%d solutions went with their problems", gone)
