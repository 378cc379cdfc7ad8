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
NO_LOSS = -100
"""The label that PyTorch's cross entropy leaves out."""
CHUNK = 50
"""Batches are of similar length because documents are sorted within this many batches."""
EVERY = 250
"""Steps between two lines of progress."""
MAX_NORM = 1.0
BETA1 = 0.9


class Row(NamedTuple):
    """A document as tokens; the label of a token that was given is NO_LOSS."""

    input_ids: list[int]
    labels: list[int]


class Pace(Protocol):
    """What the loop needs to know of its section."""

    @property
    def seed(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def warmup(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def beta2(self) -> float: ...


def encode(pieces: Sequence[Piece], words: Any) -> Row:
    """Tokenises piece by piece, so that a loss boundary is a token boundary, and closes with the end of the turn."""
    row = Row([], [])
    for piece in pieces:
        ids = words.encode(piece.text, add_special_tokens=False)
        row.input_ids.extend(ids)
        row.labels.extend(ids if piece.has_loss else [NO_LOSS] * len(ids))
    row.input_ids.append(words.eos_token_id)
    row.labels.append(words.eos_token_id)
    return row


def train(model: Any, rows: Sequence[Row], pace: Pace, pad: int) -> list[float]:
    """Trains in place and returns the loss of every step."""
    import torch

    torch.set_num_threads(1)
    groups = batches([len(row.input_ids) for row in rows], pace.batch, pace.seed)
    betas = (BETA1, pace.beta2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=pace.lr, betas=betas, weight_decay=pace.weight_decay, foreach=True)
    model.train()
    losses: list[float] = []
    for step, group in enumerate(groups):
        for part in optimiser.param_groups:
            part["lr"] = pace.lr * share_of_lr(step, len(groups), pace.warmup)
        loss = _loss(model, [rows[number] for number in group], pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM, foreach=True)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        if len(losses) % EVERY == 0 or len(losses) == len(groups):
            recent = losses[-EVERY:]
            log.info("step %d of %d, loss %.3f", len(losses), len(groups), sum(recent) / len(recent))
    return losses


def batches(lengths: Sequence[int], size: int, seed: int) -> list[list[int]]:
    """Every document once, shuffled, in batches of similar length."""
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    groups: list[list[int]] = []
    for begin in range(0, len(order), size * CHUNK):
        chunk = sorted(order[begin : begin + size * CHUNK], key=lambda number: lengths[number])
        groups += [chunk[at : at + size] for at in range(0, len(chunk), size)]
    rng.shuffle(groups)
    return groups


def share_of_lr(step: int, num_steps: int, warmup: float) -> float:
    """Rises in a line over the warm-up, then falls to 0 along half a cosine."""
    rising = max(1, int(warmup * num_steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))


def _loss(model: Any, rows: Sequence[Row], pad: int) -> Any:
    """Mean loss over the tokens that carry any. Padding stands to the right, where causal attention never looks back from."""
    import torch

    longest = max(len(row.input_ids) for row in rows)
    ids = torch.tensor([row.input_ids + [pad] * (longest - len(row.input_ids)) for row in rows])
    labels = torch.tensor([row.labels + [NO_LOSS] * (longest - len(row.labels)) for row in rows])[:, 1:]
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    counted = labels != NO_LOSS
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[counted]), labels[counted])
