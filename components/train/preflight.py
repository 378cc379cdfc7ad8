"""What is looked at before a training: its processes against GPUs and launch file, and the least memory that it takes."""

from collections.abc import Iterator
from pathlib import Path

from components.core.errors import UserError
from components.core.hardware import Gpus
from components.core.machine import LOCAL
from components.core.models import Models
from components.core.params import PARAMS
from components.core.preflight import Facts, Finding
from components.lib import model_folder
from components.lib.engine import placement
from components.lib.engine.placement import GIB
from components.train.distributed import check_launch
from components.train.finetune import Train, TrainLaunch

ADAM = 4
"""Weights, gradients and Adam's two moments, all of one type: so many times the weights, and activations beside them."""


def check(facts: Facts) -> Iterator[Finding]:
    """All trainings of params.yaml whose model is still to be made."""
    path, launch = facts.root / PARAMS, TrainLaunch.check(facts.machine, LOCAL).launch
    models = Models.check(facts.params, path)
    for key in (key for key in Train.keys(facts.params, path) if not (facts.root / "models" / key).exists()):
        config, whose = Train.check(facts.params, path, key), f"models.train.{key}"
        try:
            check_launch(config, launch)
        except UserError as error:
            yield Finding("stop", "processes", str(error), whose)
        if config.device == "cuda":
            yield _gpus(config, model_folder.find(models, key, facts.root).path, facts.gpus)._replace(whose=whose)


def _gpus(config: Train, model: Path | None, gpus: Gpus) -> Finding:
    if config.num_processes > gpus.num:
        cure = "lay a launch file of fewer and raise gradient_accumulation_steps by as much"
        return Finding("stop", "GPUs", f"params.yaml: train.num_processes is {config.num_processes}, this machine has {gpus}; {cure}")
    if model is None:
        return Finding("ok", "GPUs", f"{config.num_processes} processes on {gpus}")
    wanted = ADAM * placement.footprint(model, config.dtype).weights / GIB
    sums = f"weights, gradients and Adam's moments {wanted:.1f} GiB, on {config.num_processes} of {gpus}"
    enough = wanted < config.num_processes * gpus.gib
    return Finding("ok" if enough else "stop", "memory", sums if enough else f"{sums}: more GPUs, or larger ones")
