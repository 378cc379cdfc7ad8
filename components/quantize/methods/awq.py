"""AWQ: 4-bit weights in groups, channels scaled by what activations need (Lin et al. 2023), through AutoAWQ 0.2.9.

AutoAWQ is archived and lives with transformers 4.51.3, which reads neither the tokenizers nor the rope settings that transformers 5
writes. So it gets token ids instead of texts, a copy of the model whose config.json says everything twice, and the rotary frequencies
to compare with its own. What it writes is completed from the model that it started from.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from components.core.errors import UserError
from components.core.runner import write_json
from components.lib import checkpoint
from components.quantize import worker
from components.quantize.method import Quantize

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
"""Model types whose layers AutoAWQ knows and whose linears all end in _proj."""
CLIP_ROWS = 64
"""AutoAWQ searches clipping in batches of so many output channels."""


class Method(Quantize, section="models.quantize", keyed=True, common="quantize"):
    """AutoAWQ's GEMM layout, which has 4 bits and a zero point and nothing else."""

    bits: Literal[4]
    group_size: Annotated[int, Field(ge=8)]
    """Input channels that share a scale; divides every linear's inputs."""
    zero_point: Literal[True]
    duo_scaling: bool
    """AutoAWQ's own default scales by activations over weights; false: by activations alone (the paper's equation 4), where the search
    begins at no scaling at all."""
    max_calib_samples: Annotated[int, Field(ge=1)]
    """Rows drawn for calibration, one window each."""
    max_calib_seq_len: Annotated[int, Field(ge=8)]
    """Tokens of a window."""

    @property
    def num_calibration_samples(self) -> int:
        return self.max_calib_samples

    @property
    def calibration_seq_len(self) -> int:
        return self.max_calib_seq_len

    def refuse(self, start: Path) -> None:
        kind = checkpoint.read_config(start).get("model_type")
        if kind not in ARCHITECTURES:
            raise UserError(f"{start}: AutoAWQ knows no model type {kind!r}; there are: {', '.join(ARCHITECTURES)}")
        for name, (outputs, inputs) in _linears(start):
            if inputs % self.group_size:
                raise UserError(f"quantize.awq.group_size: {self.group_size} does not divide {inputs}, the inputs of {name} in {start}")
            if outputs % CLIP_ROWS:
                raise UserError(f"{start}: {name} has {outputs} outputs; AutoAWQ needs a multiple of {CLIP_ROWS}")

    def baseline(self, model: Any) -> str:
        """Plain rounding to the same 4 bits in the same groups."""
        import torch

        for name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                module.weight.data = round_to_nearest(module.weight.data.float(), self.group_size).to(module.weight.dtype)
        return "rtn"

    def write(self, env: str | None, start: Path, windows: Sequence[Sequence[int]], inv_freq: Sequence[float], out: Path) -> None:
        blocks = _blocks(windows, self.max_calib_seq_len)
        with worker.work_dir(out) as work:
            copy = work / "start"
            copy.mkdir()
            config = checkpoint.read_config(start)
            write_json(copy / "config.json", for_transformers_4(config))
            for shard in start.glob("*.safetensors*"):
                (copy / shard.name).symlink_to(shard.resolve())
            (work / "blocks.json").write_text(json.dumps(blocks), encoding="utf-8")
            dtype = (
                "float32" if self.device == "cpu" else "float16"
            )  # a CPU has no fast kernels for halves; the packed scales are halves anyway
            job = {
                "dtype": dtype,
                "model": str(copy),
                "blocks": str(work / "blocks.json"),
                "out": str(work / "out"),
                "inv_freq": list(inv_freq),
            }
            settings = self.model_dump(include={"bits", "group_size", "zero_point", "duo_scaling"})
            worker.run(env, "awq", {**job, **settings}, self.threads, self.device)
            packed = checkpoint.read_config(work / "out")["quantization_config"]
            worker.move_weights(work / "out", out)
        write_json(out / "config.json", {**config, **_rope(config), "dtype": "float16", "quantization_config": packed})


def for_transformers_4(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json for transformers 4 beside 5: `rope_theta`, `rope_scaling` and `torch_dtype` where 4 looks for them."""
    return {**config, **_rope(config), "torch_dtype": config.get("dtype") or config.get("torch_dtype") or "float32"}


def round_to_nearest(weight: Any, group: int) -> Any:
    """[out, in] rounded to 16 levels between each group's least and largest, as AutoAWQ does when nothing is searched."""
    groups = weight.reshape(-1, group)
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    scale = ((high - low).clamp(min=1e-5) / 15).half().float()
    zero = (-(low / scale).round()).clamp(0, 15)
    return (((groups / scale).round() + zero).clamp(0, 15).sub(zero) * scale).reshape(weight.shape)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    rope = dict(config.get("rope_parameters") or {})
    if not rope:
        return {}
    theta = rope.pop("rope_theta", None)
    scaling = rope if rope.get("rope_type", "default") != "default" else None
    return {**({"rope_theta": theta} if theta is not None else {}), **({"rope_scaling": scaling} if scaling else {})}


def _blocks(windows: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """All windows end to end, cut into blocks of `length`: AutoAWQ drops longer samples and joins shorter ones itself."""
    joined = [token for window in windows for token in window]
    blocks = [joined[at : at + length] for at in range(0, len(joined) - length + 1, length)]
    if not blocks:
        raise UserError(f"quantize.awq.max_calib_seq_len: {length}, but the calibration rows hold only {len(joined)} tokens; lower it")
    return blocks


def _linears(start: Path) -> list[tuple[str, list[int]]]:
    """Names and shapes [out, in] of the weights that will be quantized, from the files' headers."""
    from safetensors import safe_open

    found = []
    for shard in checkpoint.shards(start):
        with safe_open(shard, "pt") as file:
            found += [(name, file.get_slice(name).get_shape()) for name in file.keys() if name.endswith("_proj.weight")]  # noqa: SIM118
    return found
