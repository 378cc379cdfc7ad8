"""The stage: rows to tokens, tokens to a fine-tuned model in a folder that any engine can load."""

import logging
from pathlib import Path
from typing import Any, Literal

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import HOME, In, Metrics, Out, Work
from components.core.types import Example
from components.train import chat, sft

log = logging.getLogger(__name__)


class Train(Config, section="train", keyed=True):
    """One stage of supervised fine-tuning."""

    seed: int
    device: Literal["cpu", "cuda"]
    dtype: Literal["float32", "bfloat16"]
    batch: int
    """Rows per step and device."""
    accumulation: int
    """Steps whose gradients are added up before the weights move."""
    epochs: int
    lr: float
    schedule: Literal["cosine", "constant", "linear"]
    warmup: float
    """Share of all steps."""
    weight_decay: float
    beta2: float
    max_grad_norm: float
    max_length: int
    """Tokens; longer rows are left out and counted."""
    checkpoints: int
    """How many are written over the whole stage; the last two are kept."""
    gradient_checkpointing: bool
    packing: bool


def train(config: Train, *, data: In, start: In, gate: In, out: Out, losses: Out, work: Work) -> Metrics:
    """Fine-tunes a model on one validated set of chat messages."""
    import torch
    import transformers

    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.*.device is cuda, but torch sees no GPU; write cpu")
    if config.device == "cpu":
        torch.set_num_threads(1)  # steps this small do not scale, and one thread adds up in one order
    transformers.set_seed(config.seed)
    model, tokenizer = _open(start, config)
    chat.check_template(tokenizer, start)
    tokens, too_long = _tokens(data / "examples.parquet", tokenizer, config.max_length)
    fit = sft.fit(model, tokenizer, tokens, config, work, HOME / "live" / losses.name.removeprefix(".partial-"))
    model.config.use_cache = True  # TRL switched it off to train; without it every generated token costs the whole text again
    model.save_pretrained(out)
    _complete(start, out)
    sft.write_curve(losses, fit.curve)
    return {
        "rows": len(tokens),
        "too_long": too_long,
        "tokens": sum(len(row.input_ids) for row in tokens) * config.epochs,
        "loss_tokens": sum(label != chat.NO_LOSS for row in tokens for label in row.labels) * config.epochs,
        "steps": fit.steps,
        "loss_first": fit.curve[0]["loss"],
        "loss_last": fit.curve[-1]["loss"],
    }


def _open(start: Path, config: Train) -> tuple[Any, Any]:
    from components.lib.checkpoint import load

    return load(start, config.dtype, config.device)


def _tokens(path: Path, tokenizer: Any, max_length: int) -> tuple[list[chat.Tokens], int]:
    encoded = [chat.encode(example, tokenizer) for example in rows.read(path, Example)]
    kept = [row for row in encoded if len(row.input_ids) <= max_length]
    if not kept:
        raise UserError(
            f"{path}: none of its {len(encoded)} rows has at most {max_length} tokens; raise train.*.max_length, or compose shorter rows"
        )
    if len(kept) < len(encoded):
        log.info("%d of %d rows are longer than %d tokens and left out", len(encoded) - len(kept), len(encoded), max_length)
    return kept, len(encoded) - len(kept)


def _complete(start: Path, out: Path) -> None:
    """Tokenizer and template come over unchanged, byte for byte; so does the base's config where saving left keys out."""
    import shutil

    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json", "generation_config.json"):
        if (start / name).exists():
            shutil.copyfile(start / name, out / name)
