"""A GGUF file (llama.cpp's), turned into safetensors once: every tensor dequantized, tokenizer and chat template taken along.

Where the file holds output and embedding apart although its architecture ties them (two quantizations of one matrix), they are tied again.
"""

import logging
from pathlib import Path
from typing import Any, Literal

from components.core.errors import UserError
from components.core.runner import Metrics
from components.fetch.kind import Fetch

log = logging.getLogger(__name__)


class Kind(Fetch, section="models", keyed=True):
    """Which file, and how it is kept."""

    group = "import"
    kind: Literal["gguf"]
    path: str
    dtype: Literal["float32", "float16", "bfloat16"]
    """Of the written weights."""
    tie_word_embeddings: bool
    """Drop the file's output matrix and use the embedding, as the original model of the file does."""

    def write(self, out: Path) -> Metrics:
        file = Path(self.path)
        if not file.is_file():
            raise UserError(f"{file}: no such file, but params.yaml names it (models.import.{{NAME}}.path)")
        model, tokenizer = _opened(file, self.dtype)
        if tokenizer.chat_template is None:
            raise UserError(f"{file}: holds no chat template, so nothing says how it is asked; take a file of an instruct model")
        _dense(model, self.tie_word_embeddings).save_pretrained(out)
        tokenizer.save_pretrained(out)
        weights = sorted(out.glob("*.safetensors"))
        return {"num_parameters": model.num_parameters(), "bytes": sum(shard.stat().st_size for shard in weights), "files": len(weights)}


def _opened(file: Path, dtype: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log.info("%s: dequantizing to %s", file, dtype)
    try:
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=getattr(torch, dtype), local_files_only=True)
        return model, AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise UserError(f"{file}: transformers reads no GGUF model in it ({error}); take another file") from None


def _dense(model: Any, tie: bool) -> Any:
    """The same weights in a fresh model: what was loaded from GGUF counts as quantized and refuses to be saved."""
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.tie_word_embeddings = tie
    state = {name: tensor for name, tensor in model.state_dict().items() if not (tie and name == "lm_head.weight")}
    fresh = type(model)(config).to(model.dtype)
    lacking = fresh.load_state_dict(state, strict=not tie)
    wrong = [name for name in lacking.missing_keys if name != "lm_head.weight"] + list(lacking.unexpected_keys)
    if wrong:
        raise UserError(f"the GGUF file's tensors do not fit {type(model).__name__}: {', '.join(wrong[:5])}")
    if tie:
        fresh.tie_weights()
    return fresh
