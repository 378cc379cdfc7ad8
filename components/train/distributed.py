"""One training in this process, or in several: accelerate starts them, each runs the same function, the first one writes.

A launch file is in accelerate's own format (`accelerate config --config_file FILE` asks and writes one); of it only `num_processes` is
read here, which has to be that of params.yaml: more processes make longer steps. `python -m components.train.distributed JOB` is what each
process runs, JOB naming the stage's configuration and paths.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from components.core.errors import UserError
from components.core.machine import LOCAL
from components.core.runner import Metrics, write_json
from components.core.watch import watched
from components.train.finetune import Job, Train, finetune

METRICS = "metrics.json"


def run(config: Train, launch: str, job: Job) -> Metrics:
    """Trains as the launch file says. Raises UserError where it starts another number, and where a process of several ended badly."""
    check_launch(config, launch)
    if config.num_processes == 1:
        return finetune(config, job)
    told, answer = job.work / "job.json", job.work / METRICS
    answer.unlink(missing_ok=True)
    paths = {name: str(path) for name, path in job._asdict().items()}
    write_json(told, {"config": config.model_dump(mode="json"), "launch": launch, "job": paths})
    precision = ["--mixed_precision", "bf16" if config.dtype == "bfloat16" else "no"]  # over the launch file's: it changes results
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", launch, *precision, "-m", __name__, str(told)]
    code = subprocess.run(launcher, check=False).returncode
    if code or not answer.exists():
        raise UserError(
            f"{launch}: a training of {config.num_processes} processes ended with code {code}; what they said stands above. "
            "The next run goes on from the last checkpoint"
        )
    return dict(json.loads(answer.read_text(encoding="utf-8")))


def check_launch(config: Train, launch: str) -> None:
    """Raises UserError where the launch file starts another number of processes."""
    num, started = config.num_processes, _processes(Path(launch))
    if started != num:
        raise UserError(
            f"{LOCAL}: train.launch: {launch} starts {started} processes, params.yaml: train.*.num_processes is {num}; "
            "name a launch file of so many, or write another number and see how many rows a step then has"
        )


def main(told: Path) -> None:
    """One process of several."""
    is_first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.INFO if is_first else logging.WARNING, format="%(message)s", stream=sys.stderr)
    asked = json.loads(told.read_text(encoding="utf-8"))
    config, job = Train.model_validate(asked["config"]), Job(**{name: Path(path) for name, path in asked["job"].items()})
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != config.num_processes:
        sys.exit(
            f"error: {asked['launch']}: {started} process started instead of {config.num_processes}; "
            "for CPUs: distributed_type MULTI_GPU, use_cpu true"
        )
    metrics = finetune(config, job)
    if is_first:
        write_json(told.with_name(METRICS), metrics)


def _processes(launch: Path) -> int:
    from ruamel.yaml import YAML

    try:
        found = YAML(typ="safe").load(watched(launch))["num_processes"]
    except FileNotFoundError:
        raise UserError(f"{LOCAL}: train.launch: {launch}: no such file; infra/launch has some") from None
    except (TypeError, KeyError):
        raise UserError(f"{launch}: names no `num_processes`; `accelerate config --config_file {launch}` writes one") from None
    return int(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
