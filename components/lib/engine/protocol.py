"""What an engine is: something that continues prompts and can be told to stop.

An engine is opened as an async context (`async with engine:`); inside, any number of `complete` calls run at once. Cancelling the
task that awaits a completion frees the engine's slot; what was generated so far reaches `progress`. An engine's own failure (a dead
server, no memory) is an EngineError that names it, never an empty text.

Text is tokenised once (tokens.py): a prompt is what `render` made, what was generated since, and what `encode` made of the rest, in order.

Time is the engine's (`now`), because it alone knows what a second is worth: wall seconds, or decode steps times `engine.step_s`
where a run must give the same bytes twice.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

from components.core.errors import MachineError
from components.core.types import Message
from components.lib.engine.tokens import Tokens


class EngineError(MachineError):
    """The engine failed, not the model: says which engine, what it was doing and what to look at."""


class StopCondition(NamedTuple):
    """A reason of the caller's own to end a completion, beyond stop strings: looked at as the text grows."""

    name: str
    closers: str
    """Characters after one of which `find` is worth asking; empty: after any."""
    find: Callable[[str], int | None]
    """The length that the text is cut to, or None while it may go on. Pure, and quick: it is asked after each such character."""


class Sampling(NamedTuple):
    """How tokens are drawn. `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0, `repetition_penalty` 1 switch the filters off."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    stop: tuple[str, ...]
    stop_conditions: tuple[StopCondition, ...] = ()
    repetition_penalty: float = 1.0
    logprobs: int = 0
    """How many of the likeliest tokens the entropy of each position is taken over; 0: none is reported."""


class Completion(NamedTuple):
    """What came back: `text` ends with the stop string where one ended it."""

    text: str
    num_tokens: int
    finish_reason: str
    """"stop" (a stop string or the end of the turn), "length", or "stop_condition"."""
    stop_reason: str | None
    """The stop string, or the name of the stop condition, that ended it; None for the end of the turn."""
    entropies: tuple[float, ...] = ()
    """Nats, one per generated token, over the likeliest tokens before temperature and filters; empty where they were not asked for."""
    ids: tuple[int, ...] = ()
    """Of `text`, as they were drawn; without the end of the turn. Empty where the engine only plays known texts."""

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.text, self.ids)


NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})
Progress = Callable[[str, int], None]
"""Called with all text so far and its number of tokens, as they arrive."""


class Engine(Protocol):
    """Continues prompts."""

    name: str
    """What it is, for the record: kind, version, model."""
    step_s: float | None
    """Seconds that one generated token takes at least on `now`'s clock; None where that is the wall clock."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def announce(self) -> AbstractContextManager[None]:
        """Announces one caller that will ask again and again: an engine that batches waits until all announced ones wait for it."""
        ...

    async def turn(self, key: str) -> None:
        """For a caller that ends without asking again: returns when all announced ones wait, one after another by `key`, where the
        engine keeps them in step; elsewhere at once."""
        ...

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        """The prompt of a chat, through the model's own chat template, ready for the assistant's turn.

        `arguments`: what the template is told of the tools there are.
        """
        ...

    def encode(self, text: str) -> Tokens:
        """A piece that is put in after the prompt."""
        ...

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        """Continues `prompt`. `key` names the request ("problem/3/0"): it orders a batch, and scripted engines look replies up by it."""
        ...

    def now(self) -> float:
        """Seconds on this engine's clock."""
        ...
