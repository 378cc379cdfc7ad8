"""Curate at size: time and memory of the whole stage, what it misses and what it wrongly takes, beside the obvious library way.

    python -m benchmarks.curate --rows 10000 30000 --library 10000

Statements are those of benchmarks/deduplication.py. Of each size, one row in fifty is planted: a rewording of another row, a row with one
number changed, a rewording of a benchmark's problem, or one with a number changed. Each size runs in a process of its own, whose peak
memory is read from the kernel. The library way is datasketch's MinHashLSH over word 5-shingles, Jaccard 0.5, for duplicates and
benchmark alike (datatrove and text-dedup, which wrap the same algorithm, are not installed here). Prints one line per run.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.deduplication import REWORDINGS, VARIANTS, Draft, drafts
from components.core import rows
from components.core.types import Dropped, Problem
from components.curate.stage import Curate, curate

NUM_BENCHMARK = 1000
ONE_IN = 50
"""Rows that have a planted variant: with both rates, four in fifty."""


class Planted(NamedTuple):
    """Ids of planted rows: those that must go, and those that must stay."""

    go: set[str]
    stay: set[str]


def sources(num_rows: int, seed: int) -> tuple[dict[str, list[Problem]], Planted]:
    """Rows of all inputs, and what was planted among them."""
    chance = random.Random(seed)
    made = drafts(num_rows + NUM_BENCHMARK, seed)
    benchmark, base = made[:NUM_BENCHMARK], made[NUM_BENCHMARK:]
    variants = {kind: VARIANTS[kind] for kind in (*REWORDINGS, "one number changed")}
    planted = Planted(set(), set())

    def plant(prefix: str, origin: list[Draft]) -> Iterator[Problem]:
        for number, draft in enumerate(origin):
            kind = chance.choice(REWORDINGS)
            yield _problem(f"z-{prefix}-go-{number}", variants[kind](draft, chance))
            yield _problem(f"z-{prefix}-stay-{number}", variants["one number changed"](draft, chance))
            planted.go.add(f"z-{prefix}-go-{number}")
            planted.stay.add(f"z-{prefix}-stay-{number}")

    num_planted = max(1, num_rows // ONE_IN)
    extra = [*plant("again", base[:num_planted]), *plant("leak", benchmark[: min(num_planted, NUM_BENCHMARK)])]
    files = [_problem(f"a-{number}", draft.text()) for number, draft in enumerate(base[: num_rows - len(extra)])]
    asked = [_problem(f"b-{number}", draft.text()).model_copy(update={"source": "asked"}) for number, draft in enumerate(benchmark)]
    exam = [_problem("e-0", "What is asked in no other row?").model_copy(update={"source": "exam"})]
    empty: list[Problem] = []
    return {"generated": empty, "files": files, "hub": extra, "extracted": empty, "benchmarks": asked, "exam": exam}, planted


def _problem(name: str, statement: str) -> Problem:
    return Problem(id=name, statement=statement, answer=0, source="made", licence="CC0-1.0", group=name)


def ours(folder: Path, cluster: str | None) -> set[str]:
    """Ids that the stage drops."""
    names = ("generated", "files", "hub", "extracted", "benchmarks", "exam")
    config = Curate.load().model_copy(update={"cluster": cluster})
    curate(config, **{name: folder / name for name in names}, out=folder / "out")
    return {row.id for row in rows.read(folder / "out/dropped.parquet", Dropped)}


def library(folder: Path) -> set[str]:
    """Ids that plain MinHash drops: near an earlier row, or near a benchmark's problem."""
    from datasketch import MinHash, MinHashLSH

    def hashed(text: str) -> MinHash:
        words = text.lower().split()
        signature = MinHash(num_perm=128, seed=1)
        signature.update_batch([" ".join(words[at : at + 5]).encode() for at in range(max(1, len(words) - 4))])
        return signature

    index = MinHashLSH(num_perm=128, params=(32, 4))
    held: dict[str, MinHash] = {}
    gone = set()
    for name in ("benchmarks", "files", "hub"):
        for problem in rows.read(folder / name / "problems.parquet", Problem):
            signature = hashed(problem.statement)
            if name != "benchmarks" and any(held[key].jaccard(signature) >= 0.5 for key in index.query(signature)):
                gone.add(problem.id)
                continue
            held[problem.id] = signature
            index.insert(problem.id, signature, check_duplication=False)
    return gone


def once(way: str, num_rows: int, folder: Path, seed: int, cluster: str | None) -> None:
    """One way at one size, in this process; the rows were written by another."""
    planted = _planted(num_rows)
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    gone = ours(folder, cluster) if way == "curate" else library(folder)
    after = resource.getrusage(resource.RUSAGE_SELF)
    wall, busy = time.monotonic() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    caught, wrong = len(gone & planted.go) / len(planted.go), len(gone & planted.stay) / len(planted.stay)
    others = len(gone - planted.go - planted.stay) / num_rows
    print(
        f"{way:8} {num_rows:>9,} rows {wall:8.1f} s {busy:8.1f} CPU-s {num_rows / wall:9,.0f} rows/s {after.ru_maxrss / 2**20:6.2f} GB   "
        f"rewordings found {caught:.4f}   one number changed, flagged {wrong:.4f}   other rows flagged {others:.4f}",
        flush=True,
    )


def _planted(num_rows: int) -> Planted:
    num = max(1, num_rows // ONE_IN)
    counts = {"again": num, "leak": min(num, NUM_BENCHMARK)}
    names = {kind: {f"z-{prefix}-{kind}-{at}" for prefix, count in counts.items() for at in range(count)} for kind in ("go", "stay")}
    return Planted(names["go"], names["stay"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000], help="sizes for curate")
    parser.add_argument("--library", type=int, nargs="*", default=[], help="sizes for the library way")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster", help="as curate.cluster")
    parser.add_argument("--folder", type=Path, help="one run in this process over rows that lie there")
    given = parser.parse_args()
    if given.folder:
        way, sizes = ("curate", given.rows) if given.rows else ("library", given.library)
        once(way, sizes[0], given.folder, given.seed, given.cluster)
        return
    for num_rows in sorted({*given.rows, *given.library}):
        with tempfile.TemporaryDirectory() as name:
            made, _ = sources(num_rows, given.seed)
            for source, problems in made.items():
                rows.write(Path(name) / source / "problems.parquet", problems, Problem)
            del made
            for way, sizes in (("curate", given.rows), ("library", given.library)):
                if num_rows in sizes:
                    other = ["--library"] if way == "curate" else ["--rows"]
                    flags = ["--rows" if way == "curate" else "--library", str(num_rows), *other, "--folder", name]
                    cluster = ["--cluster", given.cluster] if given.cluster else []
                    subprocess.run([sys.executable, "-m", "benchmarks.curate", *flags, *cluster], check=True)


if __name__ == "__main__":
    main()
