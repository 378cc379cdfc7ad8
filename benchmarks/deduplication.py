"""What curate's duplicate rule finds and costs beside datatrove's: rewordings found, other problems flagged, seconds, memory.

    python -m benchmarks.deduplication --rows 20000 --rounds 3

Statements are those of statements.py. All have the same answer here, so that the answers, which curate compares too, help nobody; that
few have all their numbers in common helps curate's speed, and is so in generated families. The rule is that of components/curate with the
numbers of params.yaml. datatrove, in an environment of its own (infra/envs/peers.txt), runs with its defaults, and once more with numbers
left in (peers/datatrove.py). Each way reads one file of rows and writes the ids that it keeps, in a process of its own, one task at a
time. Ways take turns within a round, and the ratio is taken within the round, so that a busy machine slows all. A variant is flagged
where it or the statement that it comes from is not kept: which of the two stays is each way's own affair. Writes nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.resource_usage import ResourceUsage, measure_usage
from benchmarks.statements import REWORDINGS, VARIANTS, Draft, drafts, planted
from benchmarks.table import Row, peer_python, row, run_one
from components.curate.canonical import canonical
from components.curate.contamination import CanonicalProblem
from components.curate.near_duplicates import exact_duplicates, near_duplicates
from components.curate.problem_table import ProblemTable
from components.curate.stage import Curate

ROWS, KEPT = "rows.jsonl", "kept.txt"
CURATE = [sys.executable, "-m", "benchmarks.deduplication", "--folder"]


class PeerResult(NamedTuple):
    """What one way did in one round."""

    kept: frozenset[str]
    spent: ResourceUsage


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--planted", type=int, default=300, help="of each variant; a twentieth of the rows at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    datatrove = [str(peer_python("peers")), "-m", "benchmarks.peers.datatrove"]
    ways = {"curate": CURATE, "datatrove": datatrove, "datatrove, numbers in": [*datatrove, "--numbers"]}
    count = min(args.planted, args.rows // 20)
    base = drafts(args.rows, args.seed)
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), base, planted(base, count, args.seed))
        rounds = [{way: told(command, Path(name)) for way, command in ways.items()} for _ in range(args.rounds)]
    for way, one in rounds[0].items():
        for kind, share in flagged(one.kept, args.rows, count).items():
            yield row("deduplication", f"{way}: {kind}", "share flagged", [share])
    for way in ways:
        for field, unit in (("wall_s", "s"), ("cpu_s", "CPU s"), ("peak_mb", "MB at most")):
            yield row("deduplication", f"{way}: {args.rows:,} rows", unit, [getattr(one[way].spent, field) for one in rounds])
        if way != "curate":
            for field in ("wall_s", "cpu_s"):
                times = [getattr(one[way].spent, field) / getattr(one["curate"].spent, field) for one in rounds]
                yield row("deduplication", f"{way}: {field}, times curate's", "ratio", times)


def write(folder: Path, base: Sequence[Draft], variants: Mapping[str, Sequence[str]]) -> None:
    """Statement n is row `an`, its variant, where it has one, row `bn`."""
    texts = [(f"a{at}", draft.text()) for at, draft in enumerate(base)]
    texts += [(f"b{at}", text) for at, text in enumerate(chain.from_iterable(variants.values()))]
    with (folder / ROWS).open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts)


def told(command: Sequence[str], folder: Path) -> PeerResult:
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return PeerResult(frozenset((folder / KEPT).read_text(encoding="utf-8").split()), ResourceUsage(**json.loads(done.stdout)))


def ours(folder: Path) -> None:
    """What peers/datatrove.py does, by curate's rule."""
    with (folder / ROWS).open(encoding="utf-8") as lines:
        entries = [CanonicalProblem(row["id"], "files", row["id"], 0, canonical(row["text"])) for row in map(json.loads, lines)]
    gone = repeats(entries, Curate.load())
    (folder / KEPT).write_text("".join(f"{entry.id}\n" for place, entry in enumerate(entries) if place not in gone), encoding="utf-8")


def repeats(entries: Sequence[CanonicalProblem], config: Curate) -> set[int]:
    """The places of those that the rule drops."""
    with ProblemTable(Path(tempfile.gettempdir())) as table:
        for entry in entries:
            table.add(0, entry.id, entry.answer, entry.form)
        alive: Any = np.ones(len(table), dtype=bool)
        gone = dict(exact_duplicates(table, alive))
        alive[list(gone)] = False
        return {*gone, *dict(near_duplicates(table, alive, config.minhash(config.near_duplicate_jaccard)))}


def flagged(kept: frozenset[str], num_rows: int, count: int) -> dict[str, float]:
    """The share of each kind's variants, of all rewordings, and of the statements that have no variant."""
    lost = [not {f"a{at}", f"b{at}"} <= kept for at in range(len(VARIANTS) * count)]
    found = {kind: statistics.fmean(lost[at * count : (at + 1) * count]) for at, kind in enumerate(VARIANTS)}
    others = statistics.fmean(f"a{at}" not in kept for at in range(len(lost), num_rows))
    return {**found, "rewordings, first six": statistics.fmean(found[kind] for kind in REWORDINGS), "statements without one": others}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--folder"]:  # one run of curate's rule in this process, over rows that lie there
        print(json.dumps(measure_usage(lambda: ours(Path(sys.argv[2])))._asdict()))
    else:
        run_one(__doc__, measure, arguments)
