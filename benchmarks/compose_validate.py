"""Compose and validate over made-up attempts, at several sizes: seconds, rows a second, and the most memory that either held.

    python -m benchmarks.compose_validate --attempts 10000 100000

Eight tool solutions a problem, six in ten of them right; every stage runs as its own process, as DVC runs it, with the settings of
params.yaml and no limit on the rows. Linear means that seconds grow with the attempts, flat that megabytes do not. Writes into a temporary
folder.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.table import Row, row, run_one
from components.core import rows
from components.core.types import Annotation, Candidate, Problem
from tests.row_fixtures import candidate, problem, run

ROOT = Path(__file__).parents[1]
PER_PROBLEM = 8
FILES = ("candidates", "annotations", "problems", "solutions")
WORDS = ("let", "the", "ways", "be", "counted", "by", "cases", "where", "each", "choice", "leaves", "two", "others", "so", "we", "add")


def problems(num: int) -> Iterator[Problem]:
    draw = random.Random(1)
    for number in range(num):
        statement = f"Problem {number}: {' '.join(draw.choices(WORDS, k=40))}"
        yield problem(f"p{number}", number % 1000, statement)


def attempts(num: int) -> Iterator[Candidate]:
    draw = random.Random(2)
    for number in range(num):
        for index in range(PER_PROBLEM):
            answer = number % 1000 if draw.random() < 0.6 else (number + 7) % 1000
            cell = run(f"print({answer})  # {' '.join(draw.choices(WORDS, k=draw.randint(40, 120)))}", str(answer))
            yield candidate(answer, f"p{number}", index, runs=(cell,))


def prepare(home: Path, num: int) -> None:
    (home / "components").symlink_to(ROOT / "components")
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for entry in params["compose"].values():
        entry.get("rows", {})["max_rows"] = PER_PROBLEM * num
    (home / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    (home / "curate.json").write_text("{}", encoding="utf-8")
    rows.write(home / "problems.parquet", problems(num), Problem)
    rows.write(home / "candidates.parquet", attempts(num), Candidate)
    rows.write(home / "annotations.parquet", [], Annotation)
    rows.write(home / "solutions.parquet", [], Candidate)
    rows.write(home / "exam.parquet", [problem("exam", 1, "What will the exam ask?")], Problem)


def measure_usage(home: Path, stage: str, key: str, *flags: str) -> tuple[float, float]:
    """Seconds of the processor and megabytes of one stage."""
    command = [sys.executable, "-m", f"components.{stage}", key, *flags, "--metrics", "metrics.json"]
    process = subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--attempts", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--sets", nargs="+", default=["tir", "genselect", "dpo"])


def measure(args: argparse.Namespace) -> Iterator[Row]:
    for num in args.attempts:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            prepare(home, num // PER_PROBLEM)
            for key in args.sets:
                files = [part for name in FILES for part in (f"--{name}", f"{name}.parquet")]
                made = measure_usage(home, "compose", key, *files, "--curated", "curate.json", "--out", key, "--card", f"card-{key}")
                count = json.loads((home / "metrics.json").read_text(encoding="utf-8"))["rows"]
                checked = measure_usage(home, "validate", key, "--data", key, "--exam", "exam.parquet", "--out", "checked.json")
                for name, (seconds, megabytes) in (("compose", made), ("validate", checked)):
                    figure = f"{name}@{key}, {num} attempts, {count} rows"
                    yield row("sets", figure, "CPU s", [seconds])
                    yield row("sets", figure, "MB at most", [megabytes])


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
