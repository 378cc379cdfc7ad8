"""AutoAWQ's own process: runs in the environment of infra/envs/awq.txt and imports nothing of this project.

Reads one JSON object from its argument: `model` (a folder that transformers 4.51.3 understands), `out`, `blocks` (a JSON file with
lists of token ids), `dtype` (of the search), `bits`, `group_size`, `zero_point`, `duo_scaling`, and `inv_freq` (the rotary frequencies
the model was trained with).
Writes the packed safetensors and a config.json to `out`. Ends when its standard input closes, so that it never outlives the stage.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Quantizes one model."""
    import torch
    from awq import AutoAWQForCausalLM

    model = (
        AutoAWQForCausalLM.from_pretrained(  # on a GPU AutoAWQ moves one layer at a time there itself: any model fits that fits in memory
            job["model"], device_map="cpu", torch_dtype=getattr(torch, job["dtype"]), safetensors=True, trust_remote_code=False
        )
    )
    check_rotary(model.model, job["inv_freq"])
    blocks = json.loads(Path(job["blocks"]).read_text(encoding="utf-8"))
    model.quantize(
        None,  # blocks are token ids already: no tokenizer of the old transformers is involved
        quant_config={"zero_point": job["zero_point"], "q_group_size": job["group_size"], "w_bit": job["bits"], "version": "GEMM"},
        calib_data=blocks,
        max_calib_samples=len(blocks),
        max_calib_seq_len=len(blocks[0]),
        duo_scaling=job["duo_scaling"],
    )
    model.model.half()  # embeddings and norms in the type of the scales; AutoAWQ would leave them as they were loaded
    broken = [name for name, tensor in model.model.state_dict().items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        sys.exit(f"numbers beyond float16 in: {', '.join(broken[:5])}")
    model.save_quantized(job["out"], safetensors=True)


def check_rotary(model: Any, wanted: list[float]) -> None:
    """Refuses to calibrate a model that this older transformers sees with other rotary frequencies than it was trained with."""
    seen = [float(x) for name, tensor in model.named_buffers() if name.endswith("inv_freq") for x in tensor]
    if len(seen) != len(wanted) or any(abs(a - b) > 1e-5 * abs(b) for a, b in zip(seen, wanted, strict=True)):
        sys.exit(f"rotary frequencies differ: seen {seen[:4]}..., wanted {wanted[:4]}...; config.json's rope settings were lost on the way")


def end_with_stdin() -> None:
    """Leaves as soon as the stage that holds the other end of standard input is gone."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


end_with_stdin()
main(json.loads(sys.argv[1]))
