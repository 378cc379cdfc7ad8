"""llm-compressor's own process: runs in the environment of infra/envs/fp8.txt and imports nothing of this project.

Reads one JSON object from its argument: `model`, `out`, `scheme`, `dtype` (of what stays unquantized), `device`. Writes compressed
safetensors and a config.json to `out`. Ends when its standard input closes, so that it never outlives the stage.
"""

import json
import os
import sys
import threading
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Quantizes one model; a dynamic scheme needs no data."""
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype="auto", device_map=job["device"], trust_remote_code=False)
    oneshot(model=model, recipe=QuantizationModifier(targets="Linear", scheme=job["scheme"], ignore=["lm_head"]))
    dtype = getattr(torch, job["dtype"])
    for module in model.modules():
        if not hasattr(module, "quantization_scheme"):  # scales keep their precision: they are few
            for tensor in module.parameters(recurse=False):
                tensor.data = tensor.data.to(dtype)
    model.config.dtype = dtype
    model.save_pretrained(job["out"], save_compressed=True)


def end_with_stdin() -> None:
    """Leaves as soon as the stage that holds the other end of standard input is gone."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


end_with_stdin()
main(json.loads(sys.argv[1]))
