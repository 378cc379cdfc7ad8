"""What is looked at before a model is quantized: the quantizer's environment, and a GPU where one is asked for."""

from collections.abc import Iterator

from components.core.errors import UserError
from components.core.machine import LOCAL
from components.core.params import PARAMS
from components.core.preflight import Facts, Finding
from components.quantize import worker
from components.quantize.method import Quantize, QuantizeEnvs


def check(facts: Facts) -> Iterator[Finding]:
    """All quantized models of params.yaml that are still to be made."""
    envs, path = QuantizeEnvs.check(facts.machine, LOCAL), facts.root / PARAMS
    for key in (key for key in Quantize.keys(facts.params, path) if not (facts.root / "models" / key).exists()):
        whose = f"models.quantize.{key}"
        try:
            config = Quantize.check(facts.params, path, key)
            yield Finding("ok", "environment", worker.python(envs.env(config.method)), whose)
        except UserError as error:
            yield Finding("stop", "environment", str(error), whose)
            continue
        if config.device == "cuda" and not facts.gpus.num:
            yield Finding("stop", "GPUs", "params.yaml: quantize.device is cuda, this machine has no GPU; write cpu", whose)
