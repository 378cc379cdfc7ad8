"""One pass over the documents: a plain loop on one thread, so that the same seed gives the same weights.

Small batches of equal length learn most per second here: 4 documents a step beat 1,000 tokens a step at equal cost. Knows neither files nor
what the documents say.
"""

import logging
import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from components.lib.arithmetic import Piece

log = logging.getLogger(__name__)
IGNORE_INDEX = -100
"""The label that PyTorch's cross entropy leaves out."""
MEGA_BATCH = 50
"""Batches are of similar length because documents are sorted within this many batches."""
LOGGING_STEPS = 250
"""Steps between two lines of progress."""
MAX_GRAD_NORM = 1.0
ADAM_BETA1 = 0.9


class TokenizedExample(NamedTuple):
    """A document as tokens; the label of a token that was given is IGNORE_INDEX."""

    input_ids: list[int]
    labels: list[int]


class TrainingConfig(Protocol):
    """What the loop needs to know of its section."""

    @property
    def seed(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup_ratio(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def adam_beta2(self) -> float: ...


def encode(pieces: Sequence[Piece], tokenizer: Any) -> TokenizedExample:
    """Tokenises piece by piece, so that a loss boundary is a token boundary, and closes with the end of the turn."""
    row = TokenizedExample([], [])
    for piece in pieces:
        ids = tokenizer.encode(piece.text, add_special_tokens=False)
        row.input_ids.extend(ids)
        row.labels.extend(ids if piece.has_loss else [IGNORE_INDEX] * len(ids))
    row.input_ids.append(tokenizer.eos_token_id)
    row.labels.append(tokenizer.eos_token_id)
    return row


def train(model: Any, rows: Sequence[TokenizedExample], config: TrainingConfig, pad: int) -> list[float]:
    """Trains in place and returns the loss of every step."""
    import torch

    torch.set_num_threads(1)
    groups = batches([len(row.input_ids) for row in rows], config.batch_size, config.seed)
    betas = (ADAM_BETA1, config.adam_beta2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay, foreach=True)
    model.train()
    losses: list[float] = []
    for step, group in enumerate(groups):
        for part in optimiser.param_groups:
            part["lr"] = config.learning_rate * cosine_with_warmup(step, len(groups), config.warmup_ratio)
        loss = _loss(model, [rows[number] for number in group], pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM, foreach=True)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        if len(losses) % LOGGING_STEPS == 0 or len(losses) == len(groups):
            recent = losses[-LOGGING_STEPS:]
            log.info("step %d of %d, loss %.3f", len(losses), len(groups), sum(recent) / len(recent))
    return losses


def batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Every document once, shuffled, in batches of similar length."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    groups: list[list[int]] = []
    for begin in range(0, len(order), size * MEGA_BATCH):
        chunk = sorted(order[begin : begin + size * MEGA_BATCH], key=lambda number: lengths[number])
        groups += [chunk[at : at + size] for at in range(0, len(chunk), size)]
    rng.shuffle(groups)
    return groups


def cosine_with_warmup(step: int, num_steps: int, warmup: float) -> float:
    """Rises in a line over the warm-up, then falls to 0 along half a cosine."""
    rising = max(1, int(warmup * num_steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))


def _loss(model: Any, rows: Sequence[TokenizedExample], pad: int) -> Any:
    """Mean loss over the tokens that carry any. Padding stands to the right, where causal attention never looks back from."""
    import torch

    longest = max(len(row.input_ids) for row in rows)
    ids = torch.tensor([row.input_ids + [pad] * (longest - len(row.input_ids)) for row in rows])
    labels = torch.tensor([row.labels + [IGNORE_INDEX] * (longest - len(row.labels)) for row in rows])[:, 1:]
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    counted = labels != IGNORE_INDEX
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[counted]), labels[counted])
