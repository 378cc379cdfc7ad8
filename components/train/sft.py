"""Supervised fine-tuning with TRL: tokens in, a trained model out, going on from the last complete checkpoint.

Does not know where rows come from. Checkpoints lie in a folder that belongs to this configuration and these inputs alone, so a
change starts afresh and a kill does not. On a CPU one thread and fp32: the same seed gives the same bytes.
"""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.lib.tokenization import TokenizedExample

log = logging.getLogger(__name__)
DONE = "complete"
FIELDS = ("step", "loss", "learning_rate", "grad_norm")


def train(model: Any, tokenizer: Any, rows: Sequence[TokenizedExample], config: Any, checkpoints: Path, live: Path) -> Any:
    """Trains `model` in place; returns TRL's trainer. `config` is a Train section; `live` is a csv that grows with the loss."""
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    order = torch.Generator()

    class Trainer(SFTTrainer):
        """The library shuffles with the generator that all else draws from, and a run resumed in a later epoch sees another order."""

        def _get_train_sampler(self, *args: Any) -> Any:
            sampler = super()._get_train_sampler(*args)
            sampler.generator = order
            return sampler

    data = Dataset.from_list([row._asdict() for row in rows])
    trainer = Trainer(
        model=model,
        args=_arguments(config, checkpoints),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[_follower(live), _marker(), _shuffler(order, config.seed)],
    )
    trainer.remove_callback(PrinterCallback)  # Follower says it shorter
    last = _last(checkpoints)
    if last is not None:
        log.info("going on from %s", last.name)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return trainer


def loss_curve(trainer: Any) -> list[dict[str, float]]:
    """One entry per logged step: FIELDS."""
    return [{field: entry[field] for field in FIELDS} for entry in trainer.state.log_history if "loss" in entry]


def _arguments(config: Any, folder: Path) -> Any:
    from trl import SFTConfig

    cpu = config.device == "cpu"
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=config.per_device_train_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        num_train_epochs=config.num_train_epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        adam_beta2=config.adam_beta2,
        max_grad_norm=config.max_grad_norm,
        max_length=config.max_length,
        packing=config.packing,
        bf16=config.dtype == "bfloat16",
        gradient_checkpointing=config.gradient_checkpointing,
        use_cpu=cpu,
        dataloader_pin_memory=not cpu,
        train_sampling_strategy="group_by_length",
        save_strategy="steps" if config.num_checkpoints else "no",
        save_steps=1 / (config.num_checkpoints + 1),  # below 1: a share of all steps, whatever packing makes of the rows
        save_total_limit=2,
        logging_steps=0.01,
        disable_tqdm=True,
        report_to="none",
        seed=config.seed,
        data_seed=config.seed,
    )


def _last(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [folder.parent for folder in checkpoints.glob(f"checkpoint-*/{DONE}")]
    return max(whole, key=lambda folder: int(folder.name.rsplit("-", 1)[1]), default=None)


def _marker() -> Any:
    """Marks a checkpoint when all of it is on disk: a kill in the middle of writing leaves an unmarked one.

    The loss is logged there too: a checkpoint does not hold what was added up since the last log, and the curve would show the kill.
    """
    from transformers import TrainerCallback

    class Marker(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_log = control.should_log or control.should_save

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                (Path(args.output_dir) / f"checkpoint-{state.global_step}" / DONE).touch()

    return Marker()


def _shuffler(order: Any, seed: int) -> Any:
    """Gives each epoch an order of its own, which depends on nothing that happened before."""
    from transformers import TrainerCallback

    class Shuffler(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            order.manual_seed(seed * 10**6 + int(state.epoch or 0))

    return Shuffler()


def _follower(live: Path) -> Any:
    """Writes the loss down while training runs."""
    from transformers import TrainerCallback

    live.parent.mkdir(parents=True, exist_ok=True)
    live.unlink(missing_ok=True)

    class Follower(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs and state.is_world_process_zero:
                write_loss_curve(live, [{field: entry[field] for field in FIELDS} for entry in state.log_history if "loss" in entry])
                log.info("step %d of %d: loss %.4f", state.global_step, state.max_steps, logs["loss"])

    return Follower()


def write_loss_curve(path: Path, curve: Sequence[dict[str, float]]) -> None:
    """The loss curve as csv, replaced whole."""
    aside = path.with_name(f".partial-{path.name}")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows([entry[field] for field in FIELDS] for entry in curve)
    aside.replace(path)
