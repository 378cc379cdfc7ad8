"""An engine that plays recorded replies: each request is looked up by its key in a jsonl file of {key, reply}.

It lets a stage that needs a large model run anywhere, word for word the same each time, parsers and faults of the replies included. A key
without a reply is an EngineError, never an empty text. It does not look at the prompt: who changes a prompt records anew.
"""

from pathlib import Path
from typing import Self

from components.core import rows
from components.core.errors import UserError
from components.core.params import Settings
from components.core.types import Row
from components.lib.engine import playback
from components.lib.engine.protocol import EngineError


class ScriptedSettings(Settings):
    """Section engines.scripted."""

    step_s: float
    """Seconds that one token counts."""


class RecordedReply(Row):
    """One recorded reply."""

    key: str
    reply: str


class ScriptedEngine(playback.PlaybackEngine):
    """Replies from a file."""

    def __init__(self, settings: ScriptedSettings, path: Path) -> None:
        super().__init__(settings.step_s)
        self.name = f"scripted ({path.name})"
        self._path = path
        self._replies: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Reads the file; raises UserError where there is none, a row is not {key, reply}, or a key is there twice."""
        if not self._path.is_file():
            raise UserError(f"{self._path}: no such file of recorded replies; it is what `model` names where the engine is scripted")
        for row in rows.read(self._path, RecordedReply):
            if row.key in self._replies:
                raise UserError(f"{self._path}: two replies for the key '{row.key}'; keep one")
            self._replies[row.key] = row.reply
        return await super().__aenter__()

    def reply(self, prompt: str, key: str) -> playback.Reply:
        if key not in self._replies:
            raise EngineError(f"{self.name}: no reply was recorded for the key '{key}' in {self._path}; add the row, or use another engine")
        return playback.tokenised(self._replies[key])
