"""A pool of other people's samples to the two files that replay reads."""

import argparse
import importlib
import sys
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem

READERS = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in {"__init__", "__main__", "reader"})


def main() -> None:
    """Writes problems.parquet and candidates.parquet of a foreign pool."""
    parser = argparse.ArgumentParser(prog="python -m components.replay.pools", description=main.__doc__)
    parser.add_argument("name", choices=READERS)
    parser.add_argument("--source", type=Path, required=True, help="the folder with the files as they were published")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    given = parser.parse_args()
    found = importlib.import_module(f"components.replay.pools.{given.name}").read(given.source)
    rows.write(given.out / "problems.parquet", found.problems, Problem)
    rows.write(given.out / "candidates.parquet", found.candidates, Candidate)
    left_out = "".join(f"; left out: {count} {reason}" for reason, count in found.dropped.items())
    print(f"{given.out}: {len(found.problems)} problems, {len(found.candidates)} candidates{left_out}")


try:
    main()
except UserError as error:
    sys.exit(f"error: {error}")
