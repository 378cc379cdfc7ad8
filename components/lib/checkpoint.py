"""Model folders: what format one is in, and how to open it as a dense model that runs anywhere, a CPU without kernels included.

Covered: plain safetensors, AutoAWQ's packed int4 (unpacked here, exactly), llm-compressor's FP8 (through compressed-tensors).
Not covered: serving (a vLLM server reads the same folders with its own kernels) and writing weights. Reads model folders only, never a hub.
"""

import json
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.runner import write_json

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Which nibble of a packed int32 holds output column 0, 1, 2, ... of eight (AutoAWQ's GEMM layout)."""


def format_of(model: Path) -> str | None:
    """ "awq", "fp8", another quantizer's own name, or None where nothing is quantized."""
    quantized = read_config(model).get("quantization_config")
    if quantized is None:
        return None
    return "fp8" if quantized.get("format") == "float-quantized" else str(quantized["quant_method"])


def load(model: Path, dtype: str, device: str) -> tuple[Any, Any]:
    """A model in evaluation mode, its dense weights in `dtype` ("float32", "bfloat16", ...) on `device`, and its tokenizer.

    Raises UserError where the folder is not a complete model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    check(model)
    if format_of(model) == "awq":
        opened = _unpacked(model, getattr(torch, dtype))
    else:
        opened = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype), local_files_only=True)
    return opened.to(device).eval(), AutoTokenizer.from_pretrained(model, local_files_only=True)


def check(model: Path) -> None:
    """Refuses a folder that cannot be opened, and says what it lacks."""
    read_config(model)
    weights = shards(model)
    if not weights and list(model.glob("*.bin")):
        raise UserError(f"{model}: weights are pickled (.bin) only, which can run code when opened; convert them to safetensors")
    if not weights:
        raise UserError(f"{model}: no *.safetensors in it; the download or the stage that makes it did not finish")
    if not any((model / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise UserError(f"{model}: no tokenizer in it (tokenizer.json); copy it from the model that this one was made from")


def read_config(model: Path) -> dict[str, Any]:
    """A model folder's config.json."""
    path = model / "config.json"
    if not path.exists():
        raise UserError(f"{model}: no config.json in it, so it is no model folder; `dvc repro` or `dvc pull` brings models")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UserError(f"{path}: not a JSON object ({error})") from None


def write_end_of_turn(model: Path, token: int) -> None:
    """Sees to it that generation stops at `token`: the first of generation_config.json's eos_token_id, if it is none of them."""
    path = model / "generation_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = settings.get("eos_token_id")
    ends = known if isinstance(known, list) else [] if known is None else [known]
    if token not in ends:
        write_json(path, {**settings, "eos_token_id": [token, *ends]})


def shards(model: Path) -> list[Path]:
    """The files that hold the weights."""
    return sorted(model.glob("*.safetensors"))


def _unpacked(model: Path, dtype: Any) -> Any:
    """An AWQ model with dense weights; every tensor of the files is used, and every weight of the model is found, or it is an error."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = AutoConfig.from_pretrained(model, local_files_only=True)
    group = config.quantization_config["group_size"]
    del config.quantization_config
    packed = {name: tensor for file in shards(model) for name, tensor in load_file(file).items()}
    dense = {name: tensor for name, tensor in packed.items() if not name.endswith((".qweight", ".qzeros", ".scales"))}
    for name in packed:
        if name.endswith(".qweight"):
            linear = name.removesuffix(".qweight")
            dense[f"{linear}.weight"] = unpack(packed[name], packed[f"{linear}.qzeros"], packed[f"{linear}.scales"], group)
    kind: Any = AutoModelForCausalLM._model_mapping[type(config)]
    opened, report = kind.from_pretrained(None, config=config, state_dict=dense, dtype=dtype, output_loading_info=True)
    wrong = {what: sorted(report[what]) for what in ("missing_keys", "unexpected_keys", "mismatched_keys") if report[what]}
    if wrong:
        raise UserError(f"{model}: its tensors do not fit its config.json: {wrong}; quantize it again")
    if (model / "generation_config.json").exists():  # from_pretrained reads it only beside the weights
        opened.generation_config = GenerationConfig.from_pretrained(model, local_files_only=True)
    return opened


def unpack(qweight: Any, qzeros: Any, scales: Any, group: int) -> Any:
    """Dense float32 weights [out, in] of one packed linear: (q - zero) * scale.

    qweight: int32 [in, out / 8]; qzeros: int32 [in / group, out / 8]; scales: float16 [in / group, out]. The product of an integer
    below 16 and a float16 is exact in float32.
    """
    levels = _nibbles(qweight) - _nibbles(qzeros).repeat_interleave(group, 0)
    return (levels.float() * scales.float().repeat_interleave(group, 0)).T.contiguous()


def _nibbles(packed: Any) -> Any:
    """int32 [rows, n] to the 8 n integers 0..15 that it holds, in column order."""
    import torch

    shifts = torch.tensor(AWQ_ORDER, dtype=torch.int32, device=packed.device) * 4
    return ((packed[:, :, None] >> shifts) & 15).reshape(packed.shape[0], -1)
