"""A GGUF file (llama.cpp's), turned into safetensors once: every tensor dequantized, tokenizer and chat template taken along.

Where the file holds output and embedding apart although its architecture ties them (two quantizations of one matrix), they are tied again.
Not covered: a model split over several files, and positions stretched beyond what it was trained on (YaRN, Llama 3.1's own way), which
transformers leaves out when it reads the file. Both are refused.
"""

import logging
import struct
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
    """Drop the file's output matrix, if it has one, and use the embedding, as the original model of the file does."""

    def write(self, out: Path) -> Metrics:
        file = Path(self.path)
        if not file.is_file():
            raise UserError(f"{file}: no such file, but params.yaml names it (models.import.{{NAME}}.path)")
        model, tokenizer = _opened(file, self.dtype)
        if tokenizer.chat_template is None:
            raise UserError(f"{file}: holds no chat template, so nothing says how it is asked; take a file of an instruct model")
        _save(model, out, self.tie_word_embeddings)
        tokenizer.save_pretrained(out)
        weights = sorted(out.glob("*.safetensors"))
        return {"num_parameters": model.num_parameters(), "bytes": sum(shard.stat().st_size for shard in weights), "files": len(weights)}


def _opened(file: Path, dtype: str) -> tuple[Any, Any]:
    """The model, dense in `dtype`, and the tokenizer; raises UserError where the file does not hold all of them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    log.info("%s: dequantizing to %s", file, dtype)
    asked: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    dense = {"dtype": getattr(torch, dtype), "quantization_config": GgufConfig(dequantize=True), "output_loading_info": True}
    try:
        _refuse_stretched(file)
        model, report = AutoModelForCausalLM.from_pretrained(file.parent, **asked, **dense)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **asked)
    except (ValueError, OSError, LookupError, struct.error, RuntimeError) as error:
        raise UserError(f"{file}: transformers reads no GGUF model in it ({error}); download it again, or take another file") from None
    lacking = sorted(name for name in report["missing_keys"] if not (model.config.tie_word_embeddings and name == "lm_head.weight"))
    if lacking:
        raise UserError(f"{file}: lacks {len(lacking)} tensors of the model ({', '.join(lacking[:3])}); take a file that holds it whole")
    return model, tokenizer


def _refuse_stretched(file: Path) -> None:
    from gguf import GGUFReader

    reader = GGUFReader(file)
    kinds = [field.contents() for name, field in reader.fields.items() if name.endswith(".rope.scaling.type")]
    if any(kind != "none" for kind in kinds) or any(tensor.name == "rope_freqs.weight" for tensor in reader.tensors):
        raise UserError(
            f"{file}: stretches its positions ({', '.join(kinds) or 'rope_freqs'}), which is not read from GGUF; take safetensors"
        )


def _save(model: Any, out: Path, tie: bool) -> None:
    """What was loaded from GGUF counts as quantized, which transformers does not save; dequantized, it is not."""
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    if tie:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.save_pretrained(out)
