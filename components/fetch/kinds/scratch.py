"""A small language model made from nothing, in about two minutes of one CPU core.

The story: train a tokenizer on generated problems, draw a Qwen3 of the given shape, read the documents once, write the folder that a hub
would give. Same section, same bytes: one thread, one seed, no clock. Which lines the documents hold is lib/arithmetic's matter.
"""

import json
import logging
from pathlib import Path
from typing import Any, Literal

from components.core.errors import UserError
from components.core.runner import Metrics
from components.fetch import pretraining, tokenizer
from components.fetch.kind import Fetch
from components.lib.arithmetic import document

log = logging.getLogger(__name__)


class Kind(Fetch, section="models", keyed=True):
    """The shape of the model and its one pass over the documents."""

    kind: Literal["scratch"]
    seed: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    initializer_range: float
    """Standard deviation of the first weights."""
    num_tokenizer_problems: int
    num_documents: int
    batch_size: int
    learning_rate: float
    warmup_ratio: float
    """Share of the steps."""
    weight_decay: float
    adam_beta2: float

    def write(self, out: Path) -> Metrics:
        return make(self, out)


def make(config: Kind, out: Path) -> Metrics:
    """Writes the model folder and returns how large it is and how its loss fell."""
    if config.num_documents < config.batch_size:
        raise UserError(
            f"params.yaml: models.fetch, kind scratch: {config.num_documents} documents do not fill one batch of {config.batch_size}"
        )
    words = tokenizer.make(config.vocab_size, config.num_tokenizer_problems, config.max_position_embeddings, config.seed)
    log.info("tokenizer: %d of %d entries used", len(words), config.vocab_size)
    model = _model(config, words)
    rows = [pretraining.encode(document(_seed(config, number)), words) for number in range(config.num_documents)]
    losses = pretraining.train(model, rows, config, pad=words.pad_token_id)
    _save(model, words, config, out)
    edge = max(1, min(50, len(losses) // 4))
    return {
        "num_parameters": sum(weights.numel() for weights in model.parameters()),
        "vocabulary": len(words),
        "documents": len(rows),
        "tokens": sum(len(row.input_ids) for row in rows),
        "steps": len(losses),
        "first_loss": sum(losses[:edge]) / edge,
        "last_loss": sum(losses[-edge:]) / edge,
    }


def _seed(config: Kind, number: int) -> int:
    """Another run of documents for every seed."""
    return config.seed * 10**6 + number


def _model(config: Kind, words: Any) -> Any:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(config.seed)
    shape = Qwen3Config(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_attention_heads,
        head_dim=config.head_dim,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_position_embeddings,
        initializer_range=config.initializer_range,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        dtype="float32",
    )
    return Qwen3ForCausalLM(shape)


def _save(model: Any, words: Any, config: Kind, out: Path) -> None:
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig(eos_token_id=[words.eos_token_id], pad_token_id=words.pad_token_id)
    model.save_pretrained(out)
    tokenizer.save(words, out)
    _add_transformers_4_names(out / "config.json")


def _add_transformers_4_names(file: Path) -> None:
    """Adds the names that transformers 4 (AutoAWQ pins it) reads: it would take a default rope without a word."""
    shape = json.loads(file.read_text(encoding="utf-8"))
    shape["rope_theta"] = shape["rope_parameters"]["rope_theta"]
    shape["torch_dtype"] = shape["dtype"]
    file.write_text(json.dumps(shape, indent=2, sort_keys=True) + "\n", encoding="utf-8")
