"""FP8: 8-bit float weights with a scale per output channel, activations scaled as they come, through llm-compressor.

Needs no data and no calibration. What it writes is completed from the model that it started from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from components.core.runner import write_json
from components.lib import checkpoint
from components.quantize import worker
from components.quantize.method import Quantize


class Method(Quantize, section="models.quantize", keyed=True, common="quantize"):
    """llm-compressor's one pass over all linears but the output head."""

    scheme: Literal["FP8_DYNAMIC"]

    def write(self, env: str | None, start: Path, windows: Sequence[Sequence[int]], inv_freq: Sequence[float], out: Path) -> None:
        config = checkpoint.read_config(start)
        stored = config.get("dtype") or config.get("torch_dtype")
        dtype = stored if stored in ("bfloat16", "float16") else "bfloat16"
        with worker.work_dir(out) as work:
            job = {"model": str(start.resolve()), "out": str(work / "out"), "scheme": self.scheme, "dtype": dtype}
            worker.run(env, "fp8", job, self.threads, self.device)
            packed = checkpoint.read_config(work / "out")["quantization_config"]
            worker.move_weights(work / "out", out)
        write_json(out / "config.json", {**config, "dtype": dtype, "quantization_config": packed})
