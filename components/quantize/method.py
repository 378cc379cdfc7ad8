"""What a method of quantization is: an entry of `models.quantize` whose `method` names a file of methods/, where a class `Method` stands.

Does not know any method; a new one is one file there, one worker script beside it and one list in infra/envs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from components.core import params as parameters
from components.core.errors import UserError
from components.core.machine import LOCAL, MachineConfig
from components.core.params import Config, Settings, named_module


class KlDivergence(Settings):
    """On what the damage is measured: rows that calibration did not see."""

    num_rows: Annotated[int, Field(ge=1)]
    num_tokens: Annotated[int, Field(ge=2)]
    """The first so many of each row; memory is num_rows * num_tokens * vocabulary * 4 bytes."""
    dtype: Literal["float32", "bfloat16"]


class Quantize(Config, section="models.quantize", keyed=True, common="quantize"):
    """One method and how it is measured: what all share stands in `quantize`, what is its own in `models.quantize.<name>`."""

    method: str
    """A file of methods/."""
    start: str
    """The model that is quantized; with `calibration` it says who feeds whom in dvc.yaml."""
    calibration: str
    """A set of compose's."""
    seed: int
    """Draws calibration rows and measured rows."""
    device: Literal["cpu", "cuda"]
    """Where the quantizer computes, and where its damage is measured."""
    threads: Annotated[int, Field(ge=1)]
    """Of the worker, on a CPU: on a busy machine more of them wait for each other."""
    kl_divergence: KlDivergence

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """The entry as the Method of its name; a Method checks itself as any section does."""
        if cls is not Quantize:
            return super().check(params, path, key)
        name = parameters.at(params, f"{cls.section}.{key}", path).get("method")
        module = named_module("components.quantize.methods", name, f"{path}: {cls.section}.{key}.method", "method of quantization")
        return module.Method.check(params, path, key)

    @property
    def num_calibration_samples(self) -> int:
        """How many calibration windows it wants."""
        return 0

    @property
    def calibration_seq_len(self) -> int:
        """Tokens of one calibration window."""
        return 0

    def refuse(self, start: Path) -> None:
        """Raises UserError where this method cannot quantize that model."""

    def baseline(self, model: Any) -> str | None:
        """Changes `model` in place to what the same bits give without this method's cleverness, and names it; None: nothing to compare."""
        return None

    def write(self, env: str | None, start: Path, windows: Sequence[Sequence[int]], inv_freq: Sequence[float], out: Path) -> None:
        """Writes weights and config.json into `out`; `env` is the quantizer's environment."""
        raise NotImplementedError


class QuantizeEnvs(MachineConfig, section="quantize"):
    """Where quantizers are installed."""

    envs: dict[str, str | None]
    """An environment's folder for each method; null: the quantizer is installed beside the project."""

    def env(self, method: str) -> str | None:
        """That of a method; raises UserError where none is named."""
        if method not in self.envs:
            raise UserError(f"{LOCAL}: quantize.envs: no environment for '{method}'; there are: {', '.join(self.envs)}")
        return self.envs[method]
