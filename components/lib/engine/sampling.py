"""How a batch draws its tokens: each row with a random generator of its own, so that a row's luck does not depend on its neighbours.

Gumbel-max (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030): the argmax of logits plus Gumbel noise is a draw from their
softmax. It makes transformers' greedy `generate` sample, row by row from seeded generators. Filters are transformers' own warpers.
Both hooks are duck-typed (`LogitsProcessor`, `StoppingCriteria`), so that importing this file costs nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from components.lib.engine.batching import Request
from components.lib.engine.protocol import Sampling

SMALLEST = 2.0**-25
"""Half the resolution of torch's float32 uniforms: stands in for an exponential draw of exactly 0, whose logarithm would be infinite."""


class GumbelSampler:
    """The logits processor of one batch: filters each row as it asked and adds its noise, but to greedy rows."""

    def __init__(self, batch: Sequence[Request], vocab: int, device: str, over: Callable[[], bool]) -> None:
        """`over` says that the batch has ended: on a GPU the library looks only some steps later, which must not cost a row its luck."""
        import torch

        self._batch, self._over = batch, over
        self._noise = torch.ones(len(batch), vocab, device=device)
        self._groups = _groups(batch)
        for request in batch:
            if request.generator is None and request.sampling.temperature > 0:
                request.generator = torch.Generator(device=device).manual_seed(request.seed)

    def __call__(self, ids: Any, scores: Any) -> Any:
        if self._over():
            return scores
        self._note_entropies(scores)
        for rows, warp in self._groups:
            scores[rows] = warp(ids[rows], scores[rows])
        for noise, request in zip(self._noise, self._batch, strict=True):
            if request.generator is not None and request.waits:
                noise.exponential_(generator=request.generator)
        return scores - self._noise.clamp_min(SMALLEST).log()

    def _note_entropies(self, scores: Any) -> None:
        """Of the model's own distribution, as servers report it: before temperature and filters."""
        import torch

        most = max(request.sampling.logprobs for request in self._batch)
        if most == 0:
            return
        parts = torch.special.entr(scores.float().softmax(-1).topk(most).values)  # -p log p, 0 where p is
        for row, request in zip(parts.cumsum(-1).tolist(), self._batch, strict=True):
            if request.sampling.logprobs and request.waits:
                request.entropies.append(row[request.sampling.logprobs - 1])


def _groups(batch: Sequence[Request]) -> list[tuple[Any, Callable[..., Any]]]:
    """The rows that are filtered alike, and their filter; all rows as one slice where they all are, which is the usual case."""
    alike: dict[Sampling, list[int]] = {}
    for row, request in enumerate(batch):
        alike.setdefault(request.sampling._replace(max_tokens=0, stop=(), stop_conditions=()), []).append(row)
    whole = len(alike) == 1
    return [(slice(None) if whole else rows, _warp(how)) for how, rows in alike.items()]


def _warp(how: Sampling) -> Callable[..., Any]:
    import transformers as hf

    warpers: list[Any] = []
    if how.repetition_penalty != 1:
        warpers.append(hf.RepetitionPenaltyLogitsProcessor(how.repetition_penalty))
    if how.temperature not in (0, 1):
        warpers.append(hf.TemperatureLogitsWarper(how.temperature))
    if how.top_k > 0:
        warpers.append(hf.TopKLogitsWarper(how.top_k))
    if how.top_p < 1:
        warpers.append(hf.TopPLogitsWarper(how.top_p))
    if how.min_p > 0:
        warpers.append(hf.MinPLogitsWarper(how.min_p))
    return hf.LogitsProcessorList(warpers)
