"""The walk over DVC's graph: stages in order, independent ones side by side, stopped at the first failure. Knows no Prefect.

`run_stage` runs one stage as `dvc repro --single-item` in a process group of its own, a fork of the fork server; `walk` takes any runner of
that shape. Reads dvc.yaml through Graph, writes what the stages write, and leaves the dvc.lock that `dvc repro` would.
To resume is to walk again: what is finished is not run twice.
"""

import contextvars
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from components.core.machine import MachineConfig
from flows.fork_server import ForkedStage, ForkServer
from flows.graph import CODE, Graph
from flows.workspace import end, orphaned_processes, record_process

TAIL_LINES = 400
DVC_NOISE = (  # DVC's, each time
    "Generating lock file",
    "Updating lock file",
    "Use `dvc push`",
    "To track the changes with git",
    "\tgit add",
    "To enable auto staging",
    "\tdvc config",
)

OnLine = Callable[[str, str], None]
"""Takes a stage's name and one line of what it said."""


class Flow(MachineConfig, section="flow"):
    """How the graph is walked."""

    parallel: int
    """Stages at once."""


class Outcome(NamedTuple):
    """What became of one stage. `seconds` is what this walk spent on it, computing or not."""

    stage: str
    status: Literal["cached", "run", "failed"]
    seconds: float
    error: str = ""


class StageFailed(RuntimeError):
    """A stage ended badly; the text is what the stage itself said last."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.stage} failed after {outcome.seconds:.0f} s:\n{outcome.error}")
        self.outcome = outcome


Runner = Callable[[str], Outcome]
"""Runs the named stage; raises StageFailed."""


def walk(graph: Graph, stages: set[str], run: Runner, parallel: int, on_line: OnLine = lambda *_: None) -> list[Outcome]:
    """Runs what changed among `stages` and what needs it; returns one outcome for each stage that was reached, in the graph's order.

    After a failure nothing new starts, and what is running may end: its result is kept for the next walk. When the walk itself is
    interrupted, the process groups of all running stages are killed. Which stages a change of code reaches the stage `code` alone can
    say, so it goes first where it changed.
    """
    graph.normalize_lock()  # before a stage reads a folder in which outputs of stages that are gone still lie
    changed = graph.changed()
    if CODE in changed & stages and len(stages) > 1:
        [code] = walk(graph, {CODE}, run, parallel, on_line)
        return [code] if code.status == "failed" else [code, *walk(graph, stages - {CODE}, run, parallel, on_line)]
    stale = graph.with_downstream(changed) & stages
    done = {name: Outcome(name, "cached", 0.0) for name in graph.order if name in stages - stale}
    chain_lengths = graph.chain_lengths()
    waiting = sorted((name for name in graph.order if name in stale), key=lambda name: -chain_lengths[name])
    positions = {name: f"[{position:2}/{len(stages)}]" for position, name in enumerate((s for s in graph.order if s in stages), 1)}
    running: dict[Future[Outcome], str] = {}
    with ThreadPoolExecutor(parallel) as pool, _ending_stages_on_signal(graph.root, running):
        while waiting or running:
            ready = [name for name in waiting if stages.intersection(graph.stages[name].needs) <= done.keys()]
            for name in ready[: parallel - len(running)]:
                on_line(name, f"{positions[name]} {name} …")
                waiting.remove(name)
                running[pool.submit(contextvars.copy_context().run, run, name)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = _outcome(future)
                name = running.pop(future)
                on_line(name, f"{positions[name]} {name}: {outcome.status}, {outcome.seconds:.0f} s")
                done[name] = outcome
                if outcome.status == "failed":
                    waiting = []
    graph.normalize_lock()
    return [done[name] for name in graph.order if name in done]


def run_stage(server: ForkServer, stage: str, root: Path, on_line: OnLine) -> Outcome:
    """Brings one stage up to date, its lines going to `on_line`; whatever interrupts this ends the stage's whole process group."""
    started, tail, status = time.monotonic(), deque[str](maxlen=TAIL_LINES), "cached"
    with _forked(server, stage, root) as forked:
        for line in forked.output:
            text = line.rstrip()
            if text.startswith("Running stage "):
                status = "run"
            if text and not text.startswith(DVC_NOISE):
                tail.append(text)
                on_line(stage, text)
        code = forked.wait()
    seconds = time.monotonic() - started
    if code:
        raise StageFailed(Outcome(stage, "failed", seconds, stage_error(list(tail)) or f"dvc exited with {code}"))
    return Outcome(stage, "run" if status == "run" else "cached", seconds)


def stage_error(lines: list[str]) -> str:
    """The stage's own last words among DVC's: from its last `error: ` on, else from its last stack, else its last 12 lines."""
    own = [line for line in lines if not line.startswith(("Running stage ", "> ", "ERROR: ", "Stage '", "WARNING: "))]
    for opening in ("error: ", "Traceback (most recent call last)"):
        starts = [number for number, line in enumerate(own) if line.startswith(opening)]
        if starts:
            return "\n".join(own[starts[-1] :])
    return "\n".join(own[-12:] or [line for line in lines if line.startswith("ERROR: ")])


def end_orphans(root: Path) -> list[str]:
    """Ends what a killed walk left running here, so that it does not write beside us; returns the stages' names."""
    names = []
    for stage, pid in orphaned_processes(root):
        end(pid)
        names.append(stage)
    return names


@contextmanager
def _forked(server: ForkServer, stage: str, root: Path) -> Iterator[ForkedStage]:
    with server.fork() as forked:
        note = record_process(root, stage, forked.pid)
        try:
            forked.start(root, stage)
            yield forked
        except BaseException:  # Prefect's TerminationSignal and KeyboardInterrupt are no Exceptions
            end(forked.pid)
            raise
        finally:
            note.unlink(missing_ok=True)


@contextmanager
def _ending_stages_on_signal(root: Path, running: dict[Future[Outcome], str]) -> Iterator[None]:
    """The walking thread takes the signals while others read the stages' lines: on a signal, end every stage, also one just starting."""
    try:
        yield
    except BaseException:
        while wait(running, timeout=0.5).not_done:
            end_orphans(root)
        raise


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except StageFailed as error:
        return error.outcome
