"""What all benchmarks have in common: rows of one shape, and a benchmark that cannot run here says so.

A benchmark is a module here with `measure(args) -> Iterable[Row]` and, where it takes arguments, `arguments(parser)`. Alone it prints its
rows (`python -m benchmarks.NAME`); `python -m benchmarks` runs them all and writes one table.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Row(NamedTuple):
    """One figure, measured so many times. A ratio is one of two measurements taken one right after the other."""

    name: str
    figure: str
    unit: str
    rounds: int
    low: float
    median: float
    high: float


class Skipped(Exception):
    """Something that the benchmark compares with is not on this machine; the text says what, and how to get it."""


def row(name: str, figure: str, unit: str, values: Sequence[float]) -> Row:
    return Row(name, figure, unit, len(values), min(values), statistics.median(values), max(values))


def peer_python(env: str) -> Path:
    """The Python of an environment of its own, which `infra/envs/build` makes."""
    python = ROOT / ".envs" / env / "bin/python"
    if not python.exists():
        raise Skipped(f"no {python.relative_to(ROOT)}: `infra/envs/build {env}` makes it")
    return python


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The table in Markdown, line by line as the rows come."""
    yield from ("| benchmark | figure | unit | rounds | low | median | high |", "|---|---|---|---:|---:|---:|---:|")
    for one in rows:
        cells = [one.name, one.figure, one.unit, str(one.rounds), *map(_figure, (one.low, one.median, one.high))]
        yield f"| {' | '.join(cells)} |"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


Measure = Callable[[argparse.Namespace], Iterable[Row]]


def run_one(doc: str | None, measure: Measure, arguments: Callable[..., None] = lambda _: None) -> None:
    """Runs one benchmark from the command line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments(parser)
    try:
        for line in markdown(measure(parser.parse_args())):
            print(line, flush=True)
    except Skipped as skipped:
        sys.exit(f"skipped: {skipped}")


def run(name: str) -> tuple[list[Row], str]:
    """The rows that a benchmark came to with its default sizes, and why it came no further."""
    module = import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser()
    getattr(module, "arguments", lambda _: None)(parser)
    rows = []
    try:
        for row in module.measure(parser.parse_args([])):
            rows.append(row)
    except Skipped as skipped:
        return rows, f"skipped: {skipped}"
    except (Exception, SystemExit) as error:  # the others are still worth their time
        return rows, f"failed: {type(error).__name__}: {error}"
    return rows, ""
