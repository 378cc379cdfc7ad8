"""The servers of MLflow and Prefect on this machine, and the weekly retraining deployed on the latter.

Starts their own commands, and asks Prefect over HTTP; imports neither. Everything they keep lies in .aimo/. Reads infra/prefect.yaml.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from flows.workspace import HOME, prefect_environment

DEPLOYMENTS = Path("infra/prefect.yaml")
POOL = "aimo"
START_S = 600.0  # 4 minutes were seen at load 15 on two cores
HOST = "127.0.0.1"


class Command(NamedTuple):
    """A command line and its whole environment."""

    words: Sequence[str]
    environment: Mapping[str, str]


def mlflow(root: Path, port: int) -> Command:
    """MLflow's server over the store that lineage.py writes."""
    home = (root / HOME).resolve()
    home.mkdir(exist_ok=True)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home}/mlflow.db"
    words = ["server", "--backend-store-uri", uri, "--artifacts-destination", str(home / "mlartifacts")]
    listen = ["--host", HOST, "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # its job runners are five idle processes
    return Command(_module("mlflow", *words, *listen), {**os.environ, **quiet})


def prefect(root: Path, port: int) -> Command:
    """Prefect's server over the runs of this project."""
    return Command(_module("prefect", "server", "start", "--host", HOST, "--port", str(port)), _environment(root, port))


def exec_server(command: Command) -> None:
    """Replaces this process, so that Ctrl-C and signals go straight to the server."""
    os.execvpe(command.words[0], list(command.words), dict(command.environment))


def up(root: Path, port: int) -> None:
    """A server, the deployments of infra/prefect.yaml on it, and a worker that runs them; returns when the worker ends."""
    environment = _environment(root, port)
    with _server(prefect(root, port), port):
        _make_pool(port)
        deploy = _module("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOYMENTS))
        subprocess.run(deploy, cwd=root, env=environment, check=True)
        worker = _module("prefect", "worker", "start", "--pool", POOL, "--limit", "1")
        subprocess.run(worker, cwd=root, env=environment, check=False)


@contextlib.contextmanager
def _server(command: Command, port: int) -> Iterator[None]:
    process = subprocess.Popen(command.words, env=dict(command.environment))
    try:
        _await(process, f"http://{HOST}:{port}/api/health")
        yield
    finally:
        process.terminate()
        process.wait()


def _await(process: "subprocess.Popen[bytes]", url: str) -> None:
    import httpx

    give_up = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).is_success:
                return
        time.sleep(1.0)
    raise UserError(f"{url}: no Prefect server within {START_S:.0f} s; is the port free? `aimo up --port N` takes another")


def _make_pool(port: int) -> None:
    import httpx

    made = httpx.post(f"http://{HOST}:{port}/api/work_pools/", json={"name": POOL, "type": "process"})
    if made.status_code != httpx.codes.CONFLICT:  # it is there from last time
        made.raise_for_status()


def _environment(root: Path, port: int) -> dict[str, str]:
    environment = {**os.environ, "AIMO_ROOT": str(root.resolve()), "PREFECT_API_URL": f"http://{HOST}:{port}/api"}
    prefect_environment(root, environment)
    return environment


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]
