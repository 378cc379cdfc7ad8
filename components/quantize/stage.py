"""The stage: a model to a smaller one, and what that cost. What a method does stands in methods/<key>.py."""

import logging
from typing import Any

from components.core.errors import UserError
from components.core.runner import In, Metrics, Out
from components.lib import checkpoint, references
from components.lib.engine.chat_template import ChatTokenizer
from components.quantize import calibration as texts
from components.quantize import kl_divergence, worker
from components.quantize.method import Quantize, QuantizeEnvs

log = logging.getLogger(__name__)


def quantize(config: Quantize, where: QuantizeEnvs, *, start: In, calibration: In, out: Out) -> Metrics:
    """Quantizes a model into a folder that transformers and vLLM open, and measures how far its predictions moved."""
    start, env = references.resolve(start), where.env(config.method)
    _refuse(config, env, start)
    settings = config.kl_divergence
    model, tokenizer = checkpoint.load(start, settings.dtype, config.device)
    drawn = texts.sample(
        calibration,
        ChatTokenizer(tokenizer),
        seed=config.seed,
        windows=config.num_calibration_samples,
        length=config.calibration_seq_len,
        held_out=settings.num_rows,
        tokens=settings.num_tokens,
    )
    before, inv_freq = kl_divergence.log_probs(model, drawn.held_out), kl_divergence.rotary_frequencies(model)
    compared = _compare(config, model, before, drawn.held_out)
    del model  # before the worker opens its own
    out.mkdir(parents=True)
    config.write(env, start, drawn.windows, inv_freq, out)
    worker.copy_tokenizer(start, out)
    after, _ = checkpoint.load(out, settings.dtype, config.device)
    kl, top1 = kl_divergence.divergence(before, kl_divergence.log_probs(after, drawn.held_out))
    sizes = kl_divergence.weight_bytes(start), kl_divergence.weight_bytes(out)
    if sizes[1] >= sizes[0]:
        raise RuntimeError(f"{out}: {sizes[1]} bytes of weights, no smaller than the {sizes[0]} of {start}")
    log.info("%d to %d bytes, KL %.5f nats, same likeliest token at %.1f %%", *sizes, kl, 100 * top1)
    return {
        "bytes_before": sizes[0],
        "bytes_after": sizes[1],
        "ratio": sizes[1] / sizes[0],
        "kl_divergence": kl,
        "top1_agreement": top1,
        **compared,
    }


def _refuse(config: Quantize, env: str | None, start: In) -> None:
    """Everything that can be seen before a model is opened."""
    checkpoint.check(start)
    already = checkpoint.format_of(start)
    if already:
        raise UserError(f"{start}: is quantized already ({already}); start from the model it was made of")
    worker.python(env)
    config.refuse(start)


def _compare(config: Quantize, model: Any, before: list[Any], held_out: list[list[int]]) -> Metrics:
    name = config.baseline(model)
    if name is None:
        return {}
    kl, top1 = kl_divergence.divergence(before, kl_divergence.log_probs(model, held_out))
    return {f"kl_divergence_{name}": kl, f"top1_agreement_{name}": top1}
