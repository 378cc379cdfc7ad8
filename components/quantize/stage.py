"""The stage: a model to a smaller one, and what that cost. What a method does stands in methods/<key>.py."""

import logging
from typing import Any

from components.core.errors import UserError
from components.core.runner import In, Metrics, Out
from components.lib import checkpoint, references
from components.quantize import calibration as texts
from components.quantize import fidelity, isolated
from components.quantize.method import Quantize, QuantizeEnvs

log = logging.getLogger(__name__)


def quantize(config: Quantize, where: QuantizeEnvs, *, start: In, calibration: In, out: Out) -> Metrics:
    """Quantizes a model into a folder that transformers and vLLM open, and measures how far its predictions moved."""
    start, env = references.resolve(start), where.env(config.method)
    _refuse(config, env, start)
    measure = config.measure
    model, tokenizer = checkpoint.load(start, measure.dtype, measure.device)
    drawn = texts.draw(
        calibration,
        tokenizer,
        seed=config.seed,
        windows=config.num_windows,
        length=config.window,
        measured=measure.rows,
        tokens=measure.tokens,
    )
    before, inv_freq = fidelity.predictions(model, drawn.measured), fidelity.rotary(model)
    compared = _compare(config, model, before, drawn.measured)
    del model  # before the worker opens its own
    out.mkdir(parents=True)
    config.write(env, start, drawn.windows, inv_freq, out)
    isolated.complete(start, out)
    after, _ = checkpoint.load(out, measure.dtype, measure.device)
    kl, top1 = fidelity.moved(before, fidelity.predictions(after, drawn.measured))
    sizes = fidelity.weight_bytes(start), fidelity.weight_bytes(out)
    if sizes[1] >= sizes[0]:
        raise RuntimeError(f"{out}: {sizes[1]} bytes of weights, no smaller than the {sizes[0]} of {start}")
    log.info("%d to %d bytes, KL %.5f nats, same likeliest token at %.1f %%", *sizes, kl, 100 * top1)
    return {"bytes_before": sizes[0], "bytes_after": sizes[1], "ratio": sizes[1] / sizes[0], "kl": kl, "top1": top1, **compared}


def _refuse(config: Quantize, env: str | None, start: In) -> None:
    """Everything that can be seen before a model is opened."""
    checkpoint.check(start)
    already = checkpoint.format_of(start)
    if already:
        raise UserError(f"{start}: is quantized already ({already}); start from the model it was made of")
    isolated.python(env)
    config.refuse(start)


def _compare(config: Quantize, model: Any, before: list[Any], measured: list[list[int]]) -> Metrics:
    name = config.yardstick(model)
    if name is None:
        return {}
    kl, top1 = fidelity.moved(before, fidelity.predictions(model, measured))
    return {f"kl_{name}": kl, f"top1_{name}": top1}
