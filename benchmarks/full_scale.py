"""A rehearsal at full scale without a GPU: a recipe's 50 problems, its attempts of up to 16k tokens, its clock, against stand_in.py.

    python -m benchmarks.full_scale --recipes nemoskills imagination-research --questions 50 --factor 20

The stage itself runs, with its real sandbox, in an event loop whose seconds are `factor` times as short, so that clocks, exits and
time-outs mean what they do in the contest. Measured: the contest's clock at the end, what stopped questions, the client's memory after
ten questions and at the end, and the share of a core that the client takes at 3,000 tokens a second with log-probabilities. Only the
client's own processor time counts: the sandbox has processes of its own.
"""

import argparse
import asyncio
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.stand_in import CONTEXT
from benchmarks.table import ROOT, Row, row, run_one
from components.core import rows
from components.core.types import Problem
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig
from components.solve.stage import solve
from tests import model_fixtures, recipe_fixtures
from tests.row_fixtures import problem

TOKENS_PER_S = 3000.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipes", nargs="+", default=["nemoskills", "imagination-research"])
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--factor", type=float, default=20.0)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    asyncio.set_event_loop_policy(HastyPolicy(args.factor))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = model_fixtures.make(folder / "stand-in") / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": CONTEXT}))
        rows.write(folder / "problems.parquet", [asked(number) for number in range(args.questions)], Problem)
        for recipe in args.recipes:
            command = [sys.executable, "-m", "benchmarks.stand_in", "--factor", str(args.factor), "--model", str(folder / "stand-in")]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
                assert server.stdout
                url = server.stdout.readline().strip()
                try:
                    yield from rehearse(recipe, url, folder, args.factor)
                finally:
                    server.terminate()


def asked(number: int) -> Problem:
    return problem(f"q{number}", 7, f"{number} " * (number + 1) + "is what?")


def rehearse(recipe: str, url: str, folder: Path, factor: float) -> Iterator[Row]:
    params = recipe_fixtures.params("14b", recipe)
    hosts = EngineHosts.load(ROOT)
    hosts = hosts.model_copy(update={"server": hosts.server.model_copy(update={"urls": [url], "max_num_seqs": 64})})
    work = folder / f"work-{recipe}"
    work.mkdir()
    os.chdir(folder)
    memory, over = list[float](), threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(work / "questions.jsonl", memory, over))
    watcher.start()
    began, used = time.monotonic(), time.process_time()
    try:
        measured = solve(
            recipe_fixtures.exam(recipe), Engines.model_validate(params["engines"]), SandboxConfig.model_validate(params["sandbox"]),
            Contest.model_validate(params["contest"]), hosts, SandboxCapacity(max_sessions=64),
            problems=folder / "problems.parquet", model=folder / "stand-in", out=folder / f"{recipe}.parquet",
            questions=folder / f"{recipe}-questions.parquet", work=work,
        )  # fmt: skip
    finally:
        over.set()
        watcher.join()
    used, took = time.process_time() - used, time.monotonic() - began
    for figure, unit, value in (
        ("the exam by the contest's clock", "s", took * factor),
        ("tokens", "", measured["tokens"]),
        ("attempts that ended", "", measured["finished"]),
        ("questions that a rule stopped", "", sum(measured["stopped_by"].values())),
        ("attempts that the clock ended", "", measured["finish_reason"].get("time", 0)),
        ("the client's share of a core at 3,000 tokens/s", "", used / measured["tokens"] * TOKENS_PER_S),
        ("memory after 10 questions", "MiB", memory[0] if memory else float("nan")),
        ("memory at the end of the run", "MiB", memory[-1] if memory else float("nan")),
        ("memory at most, rows and all", "MiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    ):
        yield row("full_scale", f"{recipe}, {figure}", unit, [value])


def watch_memory(questions: Path, found: list[float], over: threading.Event) -> None:
    """Appends the resident memory in MiB, each second from the tenth question on."""
    page = os.sysconf("SC_PAGE_SIZE")
    while not over.wait(1.0):
        if questions.exists() and questions.read_bytes().count(b"\n") >= 10:
            found.append(int(Path("/proc/self/statm").read_text().split()[1]) * page / 2**20)


# ---- an event loop whose seconds are shorter ------------------------------------------------------------------------------


class HastySelector(selectors.DefaultSelector):
    """Waits less than it is told."""

    factor = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / self.factor)


class HastyLoop(asyncio.SelectorEventLoop):
    """Its seconds are `factor` times as short as the machine's."""

    def __init__(self, factor: float) -> None:
        self._factor, selector = factor, HastySelector()
        selector.factor = factor
        super().__init__(selector)

    def time(self) -> float:
        return super().time() * self._factor


class HastyPolicy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    def new_event_loop(self) -> HastyLoop:
        return HastyLoop(self._factor)


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
