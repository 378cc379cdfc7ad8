"""Curate at size: time and memory of the whole stage, what it misses and what it wrongly takes; and of collect before it.

    python -m benchmarks.curate --curate 10000 30000 --collect 100000

Statements are those of statements.py. For one row in fifty a rewording is planted and a copy with one number changed, and so it is for
the problems of a benchmark. Each size runs in a process of its own, whose peak memory is read from the kernel. The duplicate rule beside
datatrove's is in deduplication.py. Prints one line per run.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.spent import spent
from benchmarks.statements import REWORDINGS, VARIANTS, Draft, drafts
from components.collect.source import Collect
from components.collect.stage import collect
from components.core import rows
from components.core.types import Dropped, Problem
from components.curate.stage import Curate, CurateCluster, curate
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines

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
    return {"generated": empty, "files": files, "hub": extra, "extracted": empty, "benchmarks": asked, "exam": exam}


def _problem(name: str, statement: str) -> Problem:
    return Problem(id=name, statement=statement, answer=0, source="made", licence="CC0-1.0", group=name)


def ours(folder: Path, cluster: str | None) -> set[str]:
    """Ids that the stage drops."""
    names = ("generated", "files", "hub", "extracted", "benchmarks", "exam")
    given = {name: folder / name for name in names}
    where = CurateCluster(cluster=cluster)
    curate(Curate.load(), Engines.load(), EngineHosts.load(), where, **given, out=folder / "out", work=folder / "work")
    return {row.id for row in rows.read(folder / "out/dropped.parquet", Dropped)}


def collected(folder: Path) -> None:
    """The same rows from one jsonl file through the stage that reads files."""
    entry = {"name": "made", "path": str(folder / "rows.jsonl"), "sha256": None, "licence": "CC0-1.0", "id": "id", "statement": "statement"}
    entry |= {"answer": "answer", "answer_pattern": None, "on_bad_answer": "drop", "group": None, "limit": None}
    section = {"common": {"licences": ["CC0-1.0"]}, "files": {"kind": "files", "files": [entry]}}
    collect(Collect.check({"collect": section}, Path("params.yaml"), "files"), Contest.load(), out=folder / "raw")


def once(way: str, num_rows: int, folder: Path, cluster: str | None) -> None:
    """One way at one size, in this process; the rows were written by another."""
    gone: set[str] = set()
    cost = spent(lambda: gone.update(ours(folder, cluster)) if way == "curate" else collected(folder))
    said = f"{way:8} {num_rows:>9,} rows {cost.wall_s:8.1f} s {cost.cpu_s:8.1f} CPU-s {num_rows / cost.cpu_s:9,.0f} rows/CPU-s"
    said += f" {cost.peak_mb / 2**10:6.2f} GB"
    if way == "curate":
        planted = _planted(num_rows)
        caught, wrong = len(gone & planted.go) / len(planted.go), len(gone & planted.stay) / len(planted.stay)
        others = len(gone - planted.go - planted.stay) / num_rows
        said += f"   rewordings found {caught:.4f}   one number changed, flagged {wrong:.4f}   other rows flagged {others:.4f}"
    print(said, flush=True)


def _planted(num_rows: int) -> Planted:
    num = max(1, num_rows // ONE_IN)
    counts = {"again": num, "leak": min(num, NUM_BENCHMARK)}
    names = {kind: {f"z-{prefix}-{kind}-{at}" for prefix, count in counts.items() for at in range(count)} for kind in ("go", "stay")}
    return Planted(names["go"], names["stay"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for way, text in (("curate", "the whole stage"), ("collect", "the stage that reads files")):
        parser.add_argument(f"--{way}", type=int, nargs="*", default=[], metavar="ROWS", help=f"sizes: {text}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster", help="as curate.cluster")
    parser.add_argument("--folder", type=Path, help="one run in this process over rows that lie there")
    given = parser.parse_args()
    sizes = {way: getattr(given, way) for way in ("curate", "collect")}
    if given.folder:
        way = next(way for way in sizes if sizes[way])
        once(way, sizes[way][0], given.folder, given.cluster)
        return
    for num_rows in sorted({size for some in sizes.values() for size in some}):
        with tempfile.TemporaryDirectory() as name:
            _write(Path(name), num_rows, given.seed)
            for way in (way for way in sizes if num_rows in sizes[way]):
                cluster = ["--cluster", given.cluster] if given.cluster else []
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.curate", f"--{way}", str(num_rows), "--folder", name, *cluster], check=True
                )


def _write(folder: Path, num_rows: int, seed: int) -> None:
    made = sources(num_rows, seed)
    for source, problems in made.items():
        rows.write(folder / source / "problems.parquet", problems, Problem)
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as lines:
        for problem in (*made["files"], *made["hub"]):
            lines.write(problem.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
