"""The flows that Prefect runs: one task per stage around the walk. Prefect's only importer.

The graph, its order and what is up to date are DVC's; this adds a page to watch, retries for what comes over the network, one place at the
GPU, and a schedule (infra/prefect.yaml). Reads and writes through walk, subgraphs and summary. Does not know what a stage computes.
"""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from flows import subgraphs, summary
from flows.fork_server import ForkServer
from flows.graph import Graph, Stage
from flows.walk import Flow, Outcome, Runner, StageFailed, end_orphans, run_stage, walk
from flows.workspace import workspace_lock

GPU = "gpu"


@flow(name="build-data")
def build_data(root: str = ".") -> None:
    """Problems collected, cleaned and checked, and the training rows that need no trained model."""
    _follow("build-data", Path(root))


@flow(name="finetune")
def finetune(root: str = ".") -> None:
    """All training stages, each from the one before."""
    _follow("finetune", Path(root))


@flow(name="quantize")
def quantize(root: str = ".") -> None:
    """The last model in smaller numbers."""
    _follow("quantize", Path(root))


@flow(name="evaluate")
def evaluate(root: str = ".") -> None:
    """Exams, votes and the report."""
    _follow("evaluate", Path(root))


@flow(name="exam")
def exam(root: str = ".") -> None:
    """Exams, votes and the report over what is there: nothing is trained that no exam needs."""
    _follow("exam", Path(root))


@flow(name="retrain")
def retrain(root: str = ".", lineage: bool = True, promote: bool = True) -> None:
    """The whole graph, then the mirror in MLflow, the registry, and the gate."""
    _follow("retrain", Path(root), lineage, promote)


FLOWS = {one.name: one for one in (build_data, finetune, quantize, evaluate, exam, retrain)}


def _follow(name: str, root: Path, lineage: bool = False, promote: bool = False) -> None:
    root = root.resolve()
    with workspace_lock(root), ForkServer() as server:
        for stage in end_orphans(root):
            _tell("", f"{stage}: a killed run had left it running; ended")
        graph = Graph.read(root)
        outcomes = walk(graph, subgraphs.stages(graph, name), _runner(graph, server), Flow.load(root).parallel, _tell)
        summary.write(root, name, outcomes)
        create_table_artifact([row._asdict() for row in summary.rows(root, outcomes)], key="stages")
        create_markdown_artifact(summary.markdown(root), key="results")
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        if lineage and not failed:
            for line in _publish(root, promote):
                _tell("", line)
        summary.show(root, outcomes)
        if failed:
            raise StageFailed(failed[0])


@task(name="mirror and gate", cache_policy=NO_CACHE)
def _publish(root: Path, promote: bool) -> list[str]:
    return subgraphs.publish(root, promote)


def _runner(graph: Graph, server: ForkServer) -> Runner:
    """Runs a stage as a task whose edges to the tasks before it Prefect can draw."""
    has_gpu, ended = _has_gpu(), dict[str, Any]()

    def run(stage: str) -> Outcome:
        step = graph.stages[stage]
        needs = [ended[need] for need in step.needs if need in ended]
        one = _task(server, step, has_gpu and bool(step.meta.get("gpu")))
        ended[stage] = state = one(graph.root, wait_for=needs, return_state=True)
        outcome: Outcome = state.result()
        return outcome

    return run


def _task(server: ForkServer, step: Stage, on_gpu: bool) -> Any:
    return task(
        name=step.name,
        task_run_name=step.name,
        tags=["stage", step.name.partition("@")[0]],
        retries=2 if step.meta.get("network") else 0,
        retry_delay_seconds=10,
        retry_condition_fn=_may_help,
        cache_policy=NO_CACHE,
    )(lambda root: _run(server, step.name, root, on_gpu))


def _run(server: ForkServer, stage: str, root: Path, on_gpu: bool) -> Outcome:
    log = get_run_logger()

    def hear(_: str, line: str) -> None:
        log.info(line)
        print(f"{stage:>20} | {line}", flush=True)

    with concurrency(GPU, occupy=1, strict=True) if on_gpu else contextlib.nullcontext(), _loss_curve(stage, root):
        return run_stage(server, stage, root, hear)


def _may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Once more helps where the network failed, not where a stage said in plain words what the user must mend."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageFailed) and not error.outcome.error.startswith("error: ")


@contextlib.contextmanager
def _loss_curve(stage: str, root: Path) -> Iterator[None]:
    """Shows a training's growing curve in MLflow while the stage runs."""
    if not stage.startswith("train@"):
        yield
        return
    from flows.lineage import stream_loss_curve

    ended = threading.Event()
    watcher = threading.Thread(target=stream_loss_curve, args=(root, stage, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _has_gpu() -> bool:
    """Whether there is a GPU, with one place at it declared: a stage sees all GPUs of the machine, so that two would share their memory."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.startswith("GPU ")
    except FileNotFoundError:
        return False
    if found:
        with get_client(sync_client=True) as client:
            try:
                client.read_global_concurrency_limit_by_name(GPU)
            except ObjectNotFound:
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=GPU, limit=1))
    return found


def _tell(_: str, line: str) -> None:
    get_run_logger().info(line)
    print(line, flush=True)
