"""What the walk adds to a stage's own work: DVC started anew for each stage beside the fork server; and a run in which nothing changed.

    python -m benchmarks.walk --stages 57 --rounds 5

A graph of so many stages of one kind, each a component that copies a file, with the project's own params.yaml. In each round an input of
one stage gets a new line and the stage is run with `python -m dvc repro --single-item`, as the walk once did, then once more with the
walk's own fork server; the next round begins with the other. Overhead is the walk's seconds less those that the stage's runner recorded,
so that both hold the start of the stage's own process. "Nothing changed" pairs `aimo run` with `dvc repro` in the workspace of an exam with
its mirror and its gate. Works in temporary folders.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.table import ROOT, Row, row, run_one
from flows.fork_server import ForkServer
from flows.walk import run_stage
from flows.workspace import stage_environment
from tests import lineage_fixtures

COMPONENT = """
import shutil
from components.core.params import Config
from components.core.runner import In, Metrics, Out, main

class Copy(Config, section="contest"):
    model_config = {"extra": "ignore"}

def vote(config: Copy, *, data: In, out: Out) -> Metrics:  # the name of a component of ours, whose fingerprint the runner takes
    shutil.copyfile(data, out)
    return {}

main(vote)
"""
EXAM = """
stages:
  fetch: {cmd: "false", deps: [params.yaml], outs: [models/base]}
  curate: {cmd: "false", deps: [params.yaml], outs: [data/problems]}
  train: {cmd: "false", deps: [models/base], outs: [models/genselect]}
  quantize: {foreach: [awq, fp8], do: {cmd: "false", deps: [models/genselect], outs: ["models/${item}"]}}
  exam:
    foreach: [base, genselect, awq, fp8]
    do: {cmd: "false", deps: ["models/${item}", data/problems/exam.parquet], outs: ["runs/exam/${item}/candidates.parquet"]}
  vote:
    foreach: [base, genselect, awq, fp8]
    do:
      cmd: "false"
      deps: ["runs/exam/${item}/candidates.parquet", data/problems/exam.parquet]
      outs: ["runs/exam/${item}/votes.parquet"]
"""
DVC = [sys.executable, "-m", "dvc"]
AIMO = [sys.executable, "-m", "flows.cli"]
CONFIG = "[core]\nno_scm = True\nanalytics = False\n"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stages", type=int, default=57)
    parser.add_argument("--rounds", type=int, default=5)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as name:
        yield from overhead(copy_graph(Path(name) / "graph", args.stages), args.stages, args.rounds)
    with tempfile.TemporaryDirectory() as name:
        yield from nothing_changed(exam_workspace(Path(name) / "exam"), args.rounds)


# ---- overhead of a stage -------------------------------------------------------------------------------------------------


def copy_graph(root: Path, num: int) -> Path:
    """A workspace of stages that have run."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text(CONFIG)
    (root / "copy_file.py").write_text(COMPONENT)
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    stages = {}
    for number in range(num):
        (root / f"in{number}.txt").write_text(f"{number}\n")
        cmd = f"python -m copy_file --data in{number}.txt --out out{number}.txt --metrics copy{number}.json"
        outs = [f"out{number}.txt", f"copy{number}.json"]
        stages[f"copy{number}"] = {"cmd": cmd, "deps": ["copy_file.py", f"in{number}.txt"], "params": ["contest"], "outs": outs}
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    with ForkServer() as server:
        for stage in stages:
            run_stage(server, stage, root, lambda *_: None)
    return root


def overhead(root: Path, num: int, rounds: int) -> Iterator[Row]:
    with ForkServer() as server:
        ways: dict[str, Callable[[str], object]] = {
            "cold": lambda stage: quiet([*DVC, "--wait-for-lock", "repro", "--single-item", stage], root),
            "warm": lambda stage: run_stage(server, stage, root, lambda *_: None),
        }
        pairs = [paired_round(root, number % num, ways, first=number % 2) for number in range(rounds)]
    for way, text in (("cold", "DVC started for each stage"), ("warm", "fork server")):
        yield row("walk", f"overhead of a stage, {text}", "s", [pair[way] for pair in pairs])
    yield row("walk", "overhead, fork server's of DVC's start", "ratio", [pair["warm"] / pair["cold"] for pair in pairs])


def paired_round(root: Path, number: int, ways: dict[str, Callable[[str], object]], first: int) -> dict[str, float]:
    """Seconds beside the stage's own, each way once."""
    found = {}
    for way in list(ways)[:: -1 if first else 1]:
        with (root / f"in{number}.txt").open("a") as data:
            data.write(f"{way} {time.time()}\n")
        started = time.perf_counter()
        ways[way](f"copy{number}")
        took = time.perf_counter() - started
        found[way] = took - json.loads((root / f".aimo/ran/copy{number}.json").read_text())["seconds"]
    return found


# ---- nothing changed ----------------------------------------------------------------------------------------------------


def exam_workspace(root: Path) -> Path:
    """A real workspace of DVC around the exam of the tests: all is there, and DVC has recorded it as run."""
    lineage_fixtures.workspace(root)
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text(CONFIG)
    (root / "dvc.yaml").write_text(EXAM)
    for name in lineage_fixtures.SKILLS:
        (root / "models" / name).mkdir(parents=True)
        (root / "models" / name / "weights").write_bytes(name.encode() * lineage_fixtures.SIZES[name])
    (root / "infra").mkdir()
    (root / "infra/machine.yaml").write_text("flow: {parallel: 2}\n")
    (root / "dvc.lock").unlink()
    quiet([*DVC, "commit", "-f"], root)
    lineage_fixtures.commit(root)
    return root


def nothing_changed(root: Path, rounds: int) -> Iterator[Row]:
    quiet([*AIMO, "run"], root)  # mirrors and judges
    pairs = [(seconds([*AIMO, "run"], root), seconds([*DVC, "repro"], root)) for _ in range(rounds)]
    yield row("walk", "nothing changed, aimo run", "s", [ours for ours, _ in pairs])
    yield row("walk", "nothing changed, dvc repro", "s", [theirs for _, theirs in pairs])
    yield row("walk", "nothing changed, aimo run of dvc repro", "ratio", [ours / theirs for ours, theirs in pairs])


def seconds(command: list[str], root: Path) -> float:
    started = time.perf_counter()
    quiet(command, root)
    return time.perf_counter() - started


def quiet(command: list[str], root: Path) -> None:
    done = subprocess.run(command, cwd=root, env=stage_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
