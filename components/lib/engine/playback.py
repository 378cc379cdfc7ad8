"""What engines that play known replies share: where a reply is cut, and a clock as if all were decoded side by side, a token each per step.

Time is simulated (batching.py): attempts finish in the order of their lengths, cancelled ones stop where they are, and a clock's limit or
an early stop falls at the same token in every run, in milliseconds of real time. Knows no prompt and no model.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from components.core.types import Message
from components.lib.engine import stop_strings
from components.lib.engine.batching import Batcher, Request
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, Progress, Sampling
from components.lib.engine.tokens import Tokens

TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
"""What counts as a token where nobody counted: a run of letters and digits, or one other sign, with the white space before it."""
AT_ONCE = 1 << 20


class Reply(NamedTuple):
    """A known reply."""

    text: str
    num_tokens: int


def tokenised(text: str) -> Reply:
    """A reply whose tokens nobody counted."""
    return Reply(text, len(TOKEN.findall(text)))


def truncated(reply: Reply, sampling: Sampling) -> Completion:
    """The reply up to the first stop string, reason or budget. Tokens are taken to be of equal length where the text alone is known."""
    end, ended, stop = stop_strings.find_stop(reply.text, 0, sampling.stop, sampling.stop_conditions) or (len(reply.text), "stop", None)
    num_tokens = max(1, round(reply.num_tokens * end / max(1, len(reply.text)))) if end < len(reply.text) else reply.num_tokens
    if num_tokens > sampling.max_tokens:
        kept = len(reply.text) * sampling.max_tokens // max(1, reply.num_tokens)
        return Completion(reply.text[:kept], sampling.max_tokens, "length", None)
    return Completion(reply.text[:end], num_tokens, ended, stop)


@dataclass(eq=False, kw_only=True)
class PlaybackRequest(Request):
    """A request whose completion is known: it only has to take its time."""

    completion: Completion

    @property
    def left(self) -> int:
        """Tokens until it is over."""
        return self.completion.num_tokens - len(self.ids)


class PlaybackEngine:
    """An engine over known replies; a subclass says which reply belongs to a key."""

    name: str

    def __init__(self, step_s: float) -> None:
        self.step_s: float | None = step_s
        self._second, self._steps = step_s, 0

    def reply(self, prompt: str, key: str) -> Reply:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._batcher = await Batcher(self._decode, AT_ONCE).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._batcher.__aexit__()

    def announce(self) -> AbstractContextManager[None]:
        return self._batcher.announce()

    async def turn(self, key: str) -> None:
        await self._batcher.turn(key)

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        """The contents, one after another: known replies have no chat template."""
        return Tokens("\n".join(message.content for message in messages) + "\n")

    def encode(self, text: str) -> Tokens:
        return Tokens(text)

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        """The reply of this key up to what ends it; neither sampling's temperature nor the seed changes it."""
        completion = truncated(self.reply(prompt.text, key), sampling)
        request = PlaybackRequest(key, (), sampling, seed, asyncio.get_running_loop().create_future(), completion=completion)
        try:
            return await self._batcher.ask(request)
        finally:
            if progress:
                done = len(request.ids)
                progress(completion.text[: len(completion.text) * done // max(1, completion.num_tokens)], done)

    def now(self) -> float:
        """Seconds per step times the steps so far: with equal replies the same in every run."""
        return self._second * self._steps

    def _decode(self, batch: Sequence[Request]) -> None:
        """To the next reply that is over; whoever is not goes on in the next batch."""
        playing = [request for request in batch if isinstance(request, PlaybackRequest) and request.waits]
        steps = min((request.left for request in playing), default=0)
        self._steps += steps
        for request in playing:
            request.ids.extend([0] * steps)
        self._batcher.deliver({request: request.completion for request in playing if request.left == 0})
