"""An engine that plays recorded replies: each request is looked up by its key in a jsonl file of {key, reply}.

It lets a stage that needs a large model run anywhere, word for word the same each time, parsers and faults of the replies included. A key
without a reply is an EngineError, never an empty text. It does not look at the prompt: who changes a prompt records anew.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Self

from components.core import rows
from components.core.errors import UserError
from components.core.params import Settings
from components.core.types import Message, Row
from components.lib.engine.protocol import Completion, EngineError, Progress, Sampling

TOKEN = re.compile(r"\s*\S+|\s+\Z")
"""What counts as a token: a word with the white space before it."""

_played: ContextVar[int] = ContextVar("tokens that were played to this task", default=0)


class ScriptedSettings(Settings):
    """Section engines.scripted."""

    step_s: float
    """Seconds that one token counts."""


class Reply(Row):
    """One recorded reply."""

    key: str
    reply: str


class ScriptedEngine:
    """Replies from a file."""

    def __init__(self, settings: ScriptedSettings, path: Path) -> None:
        self.name = f"scripted ({path.name})"
        self.step_s: float | None = settings.step_s
        self._path, self._second = path, settings.step_s
        self._replies: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Reads the file; raises UserError where there is none, a row is not {key, reply}, or a key is there twice."""
        if not self._path.is_file():
            raise UserError(f"{self._path}: no such file of recorded replies; it is what `model` names where the engine is scripted")
        for row in rows.read(self._path, Reply):
            if row.key in self._replies:
                raise UserError(f"{self._path}: two replies for the key '{row.key}'; keep one")
            self._replies[row.key] = row.reply
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def attempt(self) -> AbstractContextManager[None]:
        """Nothing waits for anything here."""
        return nullcontext()

    def render(self, messages: Sequence[Message]) -> str:
        """The contents, one after another: a recording has no chat template."""
        return "\n".join(message.content for message in messages) + "\n"

    async def complete(self, prompt: str, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        """The recorded reply up to the first stop string or `max_tokens`; neither prompt nor seed changes it."""
        if key not in self._replies:
            raise EngineError(f"{self.name}: no reply was recorded for the key '{key}' in {self._path}; add the row, or use another engine")
        completion = _cut(self._replies[key], sampling)
        _played.set(_played.get() + completion.num_tokens)
        if progress:
            progress(completion.text, completion.num_tokens)
        return completion

    def now(self) -> float:
        """Seconds per token times the tokens played to the calling task: each task has its own clock, so that none depends on another's."""
        return self._second * _played.get()


def _cut(reply: str, sampling: Sampling) -> Completion:
    found = [(reply.find(stop) + len(stop), stop) for stop in sampling.stop if stop in reply]
    end, stop = min(found, default=(len(reply), None))
    tokens = TOKEN.findall(reply[:end])
    if len(tokens) > sampling.max_tokens:
        return Completion("".join(tokens[: sampling.max_tokens]), sampling.max_tokens, "length", None)
    return Completion(reply[:end], len(tokens), "stop", stop)
