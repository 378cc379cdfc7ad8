"""How far a quantized model's predictions moved from the model it was made of, and what it weighs.

KL divergence of next-token distributions, mean over all positions, and the share of positions whose likeliest token stayed the same.
Knows no method of quantization.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.lib import checkpoint


class Divergence(NamedTuple):
    """0 and 1 where nothing moved."""

    kl_divergence: float
    """In nats, KL(before || after)."""
    top1_agreement: float


def log_probs(model: Any, rows: Sequence[Sequence[int]]) -> list[Any]:
    """Log-probabilities [tokens, vocabulary] of each row, in float32 on the CPU; row by row, so that padding plays no part."""
    import torch

    with torch.inference_mode():
        return [model(torch.tensor([row], device=model.device)).logits[0].float().log_softmax(-1).cpu() for row in rows]


def divergence(before: Sequence[Any], after: Sequence[Any]) -> Divergence:
    """Means over all positions of all rows."""
    count = sum(len(row) for row in before)
    kl = sum(float((p.exp() * (p - q)).sum()) for p, q in zip(before, after, strict=True))
    same = sum(int((p.argmax(-1) == q.argmax(-1)).sum()) for p, q in zip(before, after, strict=True))
    return Divergence(kl / count, same / count)


def rotary_frequencies(model: Any) -> list[float]:
    """The rotary frequencies a model was trained with; none where it has no such thing."""
    return [float(x) for name, tensor in model.named_buffers() if name.endswith("inv_freq") and "original" not in name for x in tensor]


def weight_bytes(model: Path) -> int:
    """What the weight files of a folder weigh."""
    return sum(shard.stat().st_size for shard in checkpoint.shards(model))
