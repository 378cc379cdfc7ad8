"""A model folder behind transformers' own `generate`, in batches that give the same tokens every time.

Reads a model folder (weights, tokenizer with a chat template); writes nothing. The decoding loop is the library's: this file hooks
into it (sampling.py chooses the tokens, StepWatcher sees each step), batching.py says when a batch may start and go on, stop_strings.py
when a row is over. Knows plain, AWQ and FP8 checkpoints only through lib/checkpoint.py. Covered: byte-level tokenizers, one device.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from components.core.errors import UserError
from components.core.params import Settings
from components.core.types import Message
from components.lib import checkpoint
from components.lib.engine.batching import Batcher, Request
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, EngineError, Progress, Sampling
from components.lib.engine.sampling import GumbelSampler
from components.lib.engine.stop_strings import StopChecker
from components.lib.engine.tokens import Tokens

MIN_ROWS_TO_REBATCH = 16
"""A batch is begun anew when half of its rows are over and leaves them behind: one of this many rows or more, or if anyone waits."""
CHEAP_PREFILL_TOKENS = 2048
"""A batch whose rows hold no more tokens than this is begun anew as soon as one is over and another waits for its place. Reading more than
that again for each row that ends costs more than the place is worth (18 % of the tiny TIR exam)."""

log = logging.getLogger(__name__)


class TransformersSettings(Settings):
    """How the model is held and how its time counts."""

    dtype: Literal["float32", "bfloat16", "float16"]
    device: str
    batch: int = Field(gt=0)
    """Most rows at once."""
    step_s: float | None
    """Seconds that a decode step counts; None: the wall clock."""


class TransformersEngine:
    """Continues prompts with a model in this process."""

    def __init__(self, settings: TransformersSettings, model: Path) -> None:
        checkpoint.check(model)
        self._settings, self._folder = settings, model
        self.name = f"transformers {version('transformers')}, {model}"
        self.step_s = settings.step_s
        self._steps = 0

    async def __aenter__(self) -> Self:
        self._chat = ChatTokenizer.load(self._folder)
        self._batcher = Batcher(self._decode, self._settings.batch)
        await self._batcher.__aenter__()
        try:
            await self._batcher.in_thread(self._load)
        except BaseException:
            await self._batcher.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._batcher.__aexit__()
        del self._model

    def announce(self) -> AbstractContextManager[None]:
        return self._batcher.announce()

    async def turn(self, key: str) -> None:
        await self._batcher.turn(key)

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        return self._chat.prompt(messages, arguments)

    def encode(self, text: str) -> Tokens:
        return self._chat.encode(text)

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        room = self._positions - len(prompt.ids)
        if room <= 0:
            log.warning(
                "%s: %s: ends by length: its text has %d tokens, the model %d positions; lower max_tokens or sandbox.output_chars, "
                "or take a model with a longer context", self.name, key, len(prompt.ids), self._positions,
            )  # fmt: skip
            return Completion("", 0, "length", None)
        sampling = sampling._replace(max_tokens=min(sampling.max_tokens, room))
        request = Request(key, prompt.ids, sampling, seed, asyncio.get_running_loop().create_future())
        try:
            completion = await self._batcher.ask(request)
            return completion._replace(entropies=tuple(request.entropies))
        finally:
            if progress is not None:
                progress(self._stop_checker.so_far(request.ids, sampling.stop), len(request.ids))

    def now(self) -> float:
        return time.monotonic() if self.step_s is None else self._steps * self.step_s

    def _load(self) -> None:
        import torch

        device = self._settings.device
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"params.yaml: engines.transformers.device is {device}, but torch sees no GPU; write cpu")
        if not device.startswith("cuda"):
            torch.set_num_threads(1)  # threads that spin for each other cost more than they bring on steps this small
        self._model, _ = checkpoint.load(self._folder, self._settings.dtype, device)
        self._positions: int = self._model.config.max_position_embeddings
        rows, words = self._model.get_input_embeddings().weight.shape[0], len(self._chat.tokenizer)
        if words > rows:
            raise UserError(f"{self._folder}: the tokenizer has {words} tokens, the model {rows}; they do not belong together")
        ends = self._model.generation_config.eos_token_id
        ends = {self._chat.tokenizer.eos_token_id, self._chat.end_of_turn.ids[-1], *(ends if isinstance(ends, list) else [ends])} - {None}
        self._stop_checker = StopChecker(self._chat, ends)

    def _decode(self, batch: Sequence[Request]) -> None:
        """One batch, in its thread, until all its rows are over or it is worth beginning anew."""
        import torch

        rows = sorted(batch, key=lambda request: len(request.prompt) + len(request.ids))
        watch = self.StepWatcher(self, rows)
        try:
            ids, mask = self._padded(rows)
            self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._generation(max(request.sampling.max_tokens - len(request.ids) for request in rows)),
                logits_processor=[GumbelSampler(rows, self._model.config.vocab_size, self._settings.device, lambda: watch.over)],
                stopping_criteria=[watch],
            )
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise EngineError(f"{self.name}: no memory for {self._size(rows)}; lower engines.transformers.batch") from error
        except RuntimeError as error:
            hint = "; lower engines.transformers.batch" if "memory" in str(error) else ""
            raise EngineError(f"{self.name}: decoding {self._size(rows)} failed: {error}{hint}") from error
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise EngineError(f"{self.name}: decoding {self._size(rows)} failed: {type(error).__name__}: {error}") from error

    def _padded(self, rows: Sequence[Request]) -> tuple[Any, Any]:
        """Rows and their mask as tensors [rows, longest], padded on the left."""
        import torch

        known = [[*request.prompt, *request.ids] for request in rows]
        longest = max(map(len, known))
        pad = self._chat.tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in known], device=self._settings.device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in known], device=self._settings.device)
        return ids, mask

    def _generation(self, num_steps: int) -> Any:
        from transformers import GenerationConfig

        self._model.generation_config = GenerationConfig()  # what the folder recommends (a penalty, a top_k) is not asked for here
        return GenerationConfig(do_sample=False, max_new_tokens=num_steps, pad_token_id=self._chat.tokenizer.pad_token_id or 0)

    def _size(self, rows: Sequence[Request]) -> str:
        return f"{len(rows)} rows of up to {max(len(r.prompt) + r.sampling.max_tokens for r in rows)} tokens"

    class StepWatcher:
        """The stopping criterion of one batch: books each step's tokens, hands over what finished, says which rows are over."""

        def __init__(self, engine: "TransformersEngine", rows: Sequence[Request]) -> None:
            self._engine, self._rows, self.over = engine, rows, False

        def __call__(self, ids: Any, _: Any) -> Any:
            import torch

            if not self.over:
                self.over = self._step(ids[:, -1].tolist())
            over = [self.over or not request.waits for request in self._rows]
            return torch.tensor(over, device=ids.device)

        def _step(self, tokens: Sequence[int]) -> bool:
            """Whether the batch ends here."""
            finished = {}
            self._engine._steps += 1
            for request, token in zip(self._rows, tokens, strict=True):
                if request.waits:
                    request.ids.append(token)
                    completion = self._engine._stop_checker.ending(request.ids, request.sampling)
                    if completion is not None:
                        finished[request] = completion
            if finished and not self._engine._batcher.deliver(finished):
                return True
            left = [len(request.prompt) + len(request.ids) for request in self._rows if request.waits]
            half = len(left) <= len(self._rows) // 2
            if (
                len(left) < len(self._rows)
                and (half or sum(left) <= CHEAP_PREFILL_TOKENS)
                and self._engine._batcher.anyone_waits(self._rows)
            ):
                return True
            return not left or (half and len(self._rows) >= MIN_ROWS_TO_REBATCH)
