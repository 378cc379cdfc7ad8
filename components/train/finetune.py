"""What one process of a training does: rows to tokens, tokens to a fine-tuned model in a folder that any engine can load.

Weights are float32 while they learn, whatever type they are computed and kept in: a step at 1e-5 is smaller than
bfloat16's grain, and would be lost. Of several processes all call `finetune`; the first one writes.
"""

import hashlib
import heapq
import logging
import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.params import Config
from components.core.runner import HOME, Metrics
from components.core.types import Example
from components.lib import checkpoint, tokenization
from components.lib.engine.chat_template import ChatTokenizer
from components.train import sft

log = logging.getLogger(__name__)


class Train(Config, section="models.train", keyed=True, common="train"):
    """One stage of supervised fine-tuning: what all share stands in `train`, what is its own in `models.train.<name>`."""

    start: str
    """The model that it goes on from; with `data` and `rehearsal` it says who feeds whom in dvc.yaml."""
    data: str
    """A set of compose's."""
    rehearsal: str
    """An earlier set."""
    seed: int
    num_processes: int = Field(ge=1)
    """That train together, each on `batch` rows: they say how many rows a step has, and in which order gradients add up."""
    device: Literal["cpu", "cuda"]
    dtype: Literal["float32", "bfloat16"]
    """What is computed in, and what the trained weights are kept in."""
    per_device_train_batch_size: int
    """Rows per step and device."""
    gradient_accumulation_steps: int
    """Steps whose gradients are added up before the weights move."""
    num_train_epochs: int
    learning_rate: float
    lr_scheduler_type: Literal["cosine", "constant", "linear"]
    warmup_ratio: float
    """Share of all steps."""
    weight_decay: float
    adam_beta2: float
    max_grad_norm: float
    max_length: int
    """Tokens; longer rows are left out and counted."""
    num_rehearsal_rows: int = Field(ge=0)
    """Rows of the rehearsal set that are mixed in, drawn by lot: a model forgets what nothing asks for any more."""
    num_checkpoints: int = Field(ge=0)
    """How many are written on the way; the last two are kept."""
    gradient_checkpointing: bool
    packing: bool


class TrainLaunch(MachineConfig, section="train"):
    """How the processes of a training are started."""

    launch: str
    """On which machines and GPUs, with what spread over them: a file in accelerate's format."""


class Job(NamedTuple):
    """Where a training reads and writes."""

    data: Path
    """A set's folder."""
    rehearsal: Path
    """The folder of the set that an earlier stage learnt."""
    start: Path
    """The model it begins with."""
    out: Path
    losses: Path
    """The curve, csv."""
    work: Path
    """Checkpoints of this configuration and these inputs."""

    @property
    def live(self) -> Path:
        """The curve while it grows."""
        return HOME / "live" / self.losses.name.removeprefix(".partial-")


def finetune(config: Train, job: Job) -> Metrics:
    """Trains, and returns the metrics; every process of a training calls it."""
    import torch
    import transformers

    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("params.yaml: train.*.device is cuda, but torch sees no GPU; write cpu")
    if config.device == "cpu":
        torch.set_num_threads(1)  # steps this small do not scale, and one thread adds up in one order
    transformers.set_seed(config.seed)
    model, tokenizer = checkpoint.load(job.start, "float32", "cpu")  # the trainer moves it
    chat = ChatTokenizer(tokenizer)
    tokenization.check_chat_template(chat, job.start)
    tokens, too_long = _tokens(job.data / "examples.parquet", _rehearsal_rows(config, job.rehearsal / "examples.parquet"), chat, config)
    trainer = sft.train(model, tokenizer, tokens, config, job.work, job.live)
    model.config.use_cache = True  # TRL switched it off to train; without it every generated token costs the whole text again
    whole = trainer.accelerator.get_state_dict(trainer.model)  # every process takes part, the first one gets it
    curve = sft.loss_curve(trainer)
    if trainer.is_world_process_zero():
        _save(trainer, whole, chat, config, job)
        sft.write_loss_curve(job.losses, curve)
    return {
        "rows": len(tokens),
        "too_long": too_long,
        "tokens": sum(len(row.input_ids) for row in tokens) * config.num_train_epochs,
        "loss_tokens": sum(label != tokenization.IGNORE_INDEX for row in tokens for label in row.labels) * config.num_train_epochs,
        "steps": trainer.state.global_step,
        "first_loss": curve[0]["loss"],
        "last_loss": curve[-1]["loss"],
    }


def _rehearsal_rows(config: Train, path: Path) -> list[Example]:
    """So many rows as `num_rehearsal_rows` says, those with the least digests of seed and id."""
    if not config.num_rehearsal_rows:
        return []
    return heapq.nsmallest(
        config.num_rehearsal_rows, rows.read(path, Example), key=lambda row: hashlib.sha256(f"{config.seed}/{row.id}".encode()).digest()
    )


def _tokens(
    path: Path, rehearsal: Sequence[Example], chat: ChatTokenizer, config: Train
) -> tuple[list[tokenization.TokenizedExample], int]:
    encoded = [tokenization.encode(example, chat) for example in chain(rows.read(path, Example), rehearsal)]
    kept = [row for row in encoded if len(row.input_ids) <= config.max_length]
    if not kept:
        raise UserError(
            f"{path}: none of its {len(encoded)} rows has at most {config.max_length} tokens; "
            "raise train.*.max_length, or compose shorter rows"
        )
    if len(kept) < len(encoded):
        log.info("%d of %d rows are longer than %d tokens and left out", len(encoded) - len(kept), len(encoded), config.max_length)
    return kept, len(encoded) - len(kept)


def _save(trainer: Any, whole: Any, chat: ChatTokenizer, config: Train, job: Job) -> None:
    """The weights in `config.dtype`, the tokenizer as it was, and where a turn ends."""
    aside = job.out if config.dtype == "float32" else job.work / "float32"
    trainer.accelerator.unwrap_model(trainer.model).save_pretrained(aside, state_dict=whole)
    _tokenizer(job.start, aside)
    if aside != job.out:
        checkpoint.load(aside, config.dtype, "cpu")[0].save_pretrained(job.out)
        _tokenizer(job.start, job.out)
        shutil.rmtree(aside)
    checkpoint.write_end_of_turn(job.out, chat.end_of_turn.ids[-1])


def _tokenizer(start: Path, out: Path) -> None:
    """Tokenizer and template come over unchanged, byte for byte; so does what the base recommends for generation."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json", "generation_config.json"):
        if (start / name).exists():
            shutil.copyfile(start / name, out / name)
