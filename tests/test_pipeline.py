"""The flows under Prefect: one server for the whole file, started as `aimo up` starts it, runs a deployment and a cancelled run."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.graph import Graph
from flows.subgraphs import SUBGRAPHS, stages
from tests.test_walk import sleepers, until
from tests.workspace_fixtures import dvc, workspace

ROOT = Path(__file__).parents[1]
AIMO = [sys.executable, "-m", "flows.cli"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the deployment and a worker on it."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    up = subprocess.Popen([*AIMO, "up", "--port", str(port)], cwd=ROOT, env=environment(PREFECT_HOME=str(home)), start_new_session=True)
    url = f"http://127.0.0.1:{port}/api"
    try:
        until(lambda: up.poll() is None and _workers(url), 300)
        yield url
    finally:
        os.killpg(up.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(up.pid, signal.SIGKILL)


def test_the_deployment_is_scheduled_and_runs_to_completed(api: str, tmp_path: Path) -> None:
    deployment = httpx.get(f"{api}/deployments/name/retrain/retrain").json()
    assert [one["schedule"]["cron"] for one in deployment["schedules"]] == ["0 3 * * 1"]
    ours, theirs = workspace(tmp_path / "ours"), workspace(tmp_path / "theirs")
    run = start(api, deployment["id"], ours)
    until(lambda: state(api, run) in ("COMPLETED", "FAILED", "CRASHED"), 240)
    assert state(api, run) == "COMPLETED"
    dvc(theirs, "repro", "-q")
    assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    tasks = httpx.post(f"{api}/task_runs/filter", json={"flow_runs": {"id": {"any_": [run]}}}).json()
    assert {task["name"]: task["state_type"] for task in tasks} == dict.fromkeys(["first", "left", "right", "join"], "COMPLETED")
    waited = {task["name"]: len(task["task_inputs"].get("wait_for", [])) for task in tasks}
    assert waited == {"first": 0, "left": 1, "right": 1, "join": 2}
    tables = httpx.post(f"{api}/artifacts/filter", json={"artifacts": {"key": {"any_": ["stages"]}}}).json()
    assert [row["state"] for row in json.loads(tables[0]["data"])] == ["run"] * 4
    told = json.loads((ours / "reports/summary.json").read_text())["stages"]
    assert [line["stage"] for line in told] == ["first", "left", "right", "join"]


def test_a_cancelled_run_leaves_no_stage_running(api: str, tmp_path: Path) -> None:
    root = workspace(tmp_path, "sleep 600; cp a.txt b.txt")
    deployment = httpx.get(f"{api}/deployments/name/retrain/retrain").json()
    run = start(api, deployment["id"], root)
    until(lambda: sleepers(root), 240)
    httpx.post(f"{api}/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}}).raise_for_status()
    until(lambda: state(api, run) == "CANCELLED", 240)
    assert not sleepers(root)


def test_the_command_shows_a_failing_stage_s_own_words_and_no_stack(api: str, tmp_path: Path) -> None:
    root = workspace(tmp_path, "echo 'error: no teacher; give one' >&2; exit 3")
    done = aimo(root, "run", PREFECT_API_URL=api)
    assert done.returncode == 1
    assert "error: left failed after" in done.stderr
    assert done.stderr.rstrip().endswith("error: no teacher; give one")
    assert "Traceback" not in done.stdout + done.stderr


def test_control_c_ends_the_stages_and_says_how_to_go_on(api: str, tmp_path: Path) -> None:
    root = workspace(tmp_path, "sleep 600; cp a.txt b.txt")
    running = subprocess.Popen([*AIMO, "run"], cwd=root, env=environment(PREFECT_API_URL=api), stderr=subprocess.PIPE, text=True)
    until(lambda: sleepers(root), 120)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "`aimo run` goes on from here" in said
    assert "Traceback" not in said
    assert not sleepers(root)


def test_with_nothing_changed_no_stage_runs_and_no_server_starts(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    text = (root / "dvc.yaml").read_text().replace("  join:", "  report:")
    (root / "dvc.yaml").write_text(text)
    dvc(root, "repro", "-q")
    began = time.monotonic()
    done = aimo(root, "run", "evaluate")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    assert "nothing changed, no stage runs" in done.stdout
    assert "4 cached" in done.stdout
    assert not (root / ".aimo/prefect").exists()


def test_every_part_has_stages_and_build_data_needs_no_training() -> None:
    graph = Graph.read(ROOT)
    parts = {name: stages(graph, name) for name in SUBGRAPHS}
    assert parts["retrain"] == set(graph.order)
    assert parts["build-data"] - parts["finetune"] == {"compose@distill", "validate@distill"}  # a set that nothing here is trained on
    assert parts["finetune"] < parts["quantize"] < parts["evaluate"]
    assert not [name for name in parts["build-data"] if name.startswith("train@")]


def test_help_comes_within_a_second_of_processor_time() -> None:
    began = os.times()
    done = aimo(ROOT, "--help")
    ended = os.times()
    assert "rollback" in done.stdout
    assert ended.children_user - began.children_user < 1.5


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**clean, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def aimo(root: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*AIMO, *words], cwd=root, env=environment(**more), capture_output=True, text=True, check=False)


def start(api: str, deployment: str, root: Path) -> str:
    wanted = {"parameters": {"root": str(root), "lineage": False}, "state": {"type": "SCHEDULED"}}

    def made() -> Any:  # 503: its database is busy, and Prefect's own clients ask again
        answer = httpx.post(f"{api}/deployments/{deployment}/create_flow_run", json=wanted)
        return None if answer.status_code == 503 else answer.raise_for_status().json()

    return str(until(made, 60)["id"])


def state(api: str, run: str) -> str:
    return str(httpx.get(f"{api}/flow_runs/{run}").json()["state_type"])


def _workers(api: str) -> Any:
    try:
        found = httpx.post(f"{api}/work_pools/aimo/workers/filter", json={})
    except httpx.TransportError:
        return None
    return found.json() if found.is_success else None
