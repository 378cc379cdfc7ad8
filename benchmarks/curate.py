"""Curate at size: time and memory of the whole stage, what it misses and what it wrongly takes; and of collect before it.

    python -m benchmarks.curate --curate 10000 30000 --collect 100000

Statements are those of statements.py. For one row in fifty a rewording is planted and a copy with one number changed, and so it is for
the problems of a benchmark. Each size runs in a process of its own, whose peak memory is read from the kernel. The duplicate rule beside
datatrove's is in deduplication.py. Writes nothing that stays.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.resource_usage import measure_usage
from benchmarks.statements import REWORDINGS, VARIANTS, Draft, drafts
from benchmarks.table import Row, row, run_one
from components.collect.source import Collect
from components.collect.stage import collect
from components.core import rows
from components.core.params import PARAMS
from components.core.types import Dropped, Problem
from components.curate.stage import Curate, CurateCluster, curate
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines
from components.lib.sources import Source, Sources

NUM_BENCHMARK = 1000
ONE_IN = 50
"""Rows that have a planted rewording, and a copy with one number changed."""


class Planted(NamedTuple):
    """Ids of planted rows: those that must go, and those that must stay."""

    go: set[str]
    stay: set[str]


def sources(num_rows: int, seed: int) -> dict[str, list[Problem]]:
    """Rows of all inputs; the planted ones are named as `_planted` says."""
    chance = random.Random(seed)
    made = drafts(num_rows + NUM_BENCHMARK, seed)
    benchmark, base = made[:NUM_BENCHMARK], made[NUM_BENCHMARK:]
    variants = {kind: VARIANTS[kind] for kind in (*REWORDINGS, "one number changed")}

    def plant(prefix: str, origin: list[Draft]) -> Iterator[Problem]:
        for number, draft in enumerate(origin):
            kind = chance.choice(REWORDINGS)
            yield _problem(f"z-{prefix}-go-{number}", variants[kind](draft, chance))
            yield _problem(f"z-{prefix}-stay-{number}", variants["one number changed"](draft, chance))

    num_planted = max(1, num_rows // ONE_IN)
    extra = [*plant("again", base[:num_planted]), *plant("leak", benchmark[: min(num_planted, NUM_BENCHMARK)])]
    files = [_problem(f"a-{number}", draft.text()) for number, draft in enumerate(base[: num_rows - len(extra)])]
    asked = [_problem(f"b-{number}", draft.text()).model_copy(update={"source": "asked"}) for number, draft in enumerate(benchmark)]
    exam = [_problem("e-0", "What is asked in no other row?").model_copy(update={"source": "exam"})]
    empty: list[Problem] = []
    return {"raw/train/files": files, "raw/train/extra": extra, "extracted": empty, "raw/benchmark/asked": asked, "raw/exam/exam": exam}


def _problem(name: str, statement: str) -> Problem:
    return Problem(id=name, statement=statement, answer=0, source="made", licence="CC0-1.0", group=name)


def ours(folder: Path, cluster: str | None) -> set[str]:
    """Ids that the stage drops."""
    uses = {"files": Source(use="train"), "extra": Source(use="train"), "asked": Source(use="benchmark"), "exam": Source(use="exam")}
    named, where = Sources(generated={}, files=uses, hub={}), CurateCluster(cluster=cluster)
    folders = {"raw": folder / "raw", "extracted": folder / "extracted", "out": folder / "out", "work": folder / "work"}
    curate(Curate.load(), Engines.load(), named, EngineHosts.load(), where, **folders)
    return {row.id for row in rows.read(folder / "out/dropped.parquet", Dropped)}


def collected(folder: Path) -> None:
    """The same rows from one jsonl file through the stage that reads files."""
    entry = {"kind": "table", "use": "train", "path": str(folder / "rows.jsonl"), "sha256": None, "licence": "CC0-1.0", "id": "id"}
    entry |= {"statement": "statement", "answer": "answer", "answer_pattern": None, "on_bad_answer": "drop", "group": None, "limit": None}
    params = {"sources": {"generated": {}, "files": {"made": entry}, "hub": {}}, "collect": {"licences": ["CC0-1.0"]}}
    collect(Collect.check(params, PARAMS, "files.made"), Contest.load(), out=folder / "collected")


def once(way: str, num_rows: int, folder: Path, cluster: str | None) -> list[Row]:
    """One way at one size, in this process; the rows were written by another."""
    gone: set[str] = set()
    cost = measure_usage(lambda: gone.update(ours(folder, cluster)) if way == "curate" else collected(folder))
    name = f"{way}, {num_rows:,} rows"
    figures = {(name, "s"): cost.wall_s, (name, "CPU s"): cost.cpu_s, (name, "MB at most"): cost.peak_mb}
    if way == "curate":
        planted = _planted(num_rows)
        figures[f"{name}: rewordings found", "share"] = len(gone & planted.go) / len(planted.go)
        figures[f"{name}: one number changed, flagged", "share"] = len(gone & planted.stay) / len(planted.stay)
        figures[f"{name}: other rows flagged", "share"] = len(gone - planted.go - planted.stay) / num_rows
    return [row("curate", figure, unit, [value]) for (figure, unit), value in figures.items()]


def _planted(num_rows: int) -> Planted:
    num = max(1, num_rows // ONE_IN)
    counts = {"again": num, "leak": min(num, NUM_BENCHMARK)}
    names = {kind: {f"z-{prefix}-{kind}-{at}" for prefix, count in counts.items() for at in range(count)} for kind in ("go", "stay")}
    return Planted(names["go"], names["stay"])


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--curate", type=int, nargs="*", default=[10_000], metavar="ROWS", help="sizes: the whole stage")
    parser.add_argument("--collect", type=int, nargs="*", default=[10_000], metavar="ROWS", help="sizes: the stage that reads files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster", help="as curate.cluster")


def measure(args: argparse.Namespace) -> Iterator[Row]:
    sizes = {"curate": args.curate, "collect": args.collect}
    for num_rows in sorted({size for some in sizes.values() for size in some}):
        with tempfile.TemporaryDirectory() as name:
            _write(Path(name), num_rows, args.seed)
            for way in (way for way in sizes if num_rows in sizes[way]):
                with ProcessPoolExecutor(1, get_context("spawn")) as alone_in_memory:
                    yield from alone_in_memory.submit(once, way, num_rows, Path(name), args.cluster).result()


def _write(folder: Path, num_rows: int, seed: int) -> None:
    made = sources(num_rows, seed)
    for place, problems in made.items():
        rows.write(folder / place / "problems.parquet", problems, Problem)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as lines:
        for problem in (*made["raw/train/files"], *made["raw/train/extra"]):
            lines.write(problem.model_dump_json() + "\n")


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
