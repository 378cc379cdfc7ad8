"""An engine that plays a run's stored attempts again: what a model once said, under other stops, clocks and votes.

Reads candidates.parquet. The key names problem, attempt and turn; a turn is one generation. A plan that
asks for an attempt or a turn that was not stored generates differently: that is an EngineError, for its numbers cannot be had here.
"""

from pathlib import Path
from typing import Self

from components.core import rows
from components.core.params import Settings
from components.core.types import Candidate
from components.lib import tool_syntax
from components.lib.engine import playback
from components.lib.engine.protocol import EngineError


class ReplayedSettings(Settings):
    """Section engines.replayed."""

    step_s: float
    """Seconds that one token counts."""


class ReplayedEngine(playback.PlaybackEngine):
    """Stored attempts, side by side on one simulated clock."""

    def __init__(self, settings: ReplayedSettings, candidates: Path) -> None:
        super().__init__(settings.step_s)
        self.name = f"replayed ({candidates})"
        self._path = candidates
        self._said: dict[tuple[str, int], list[playback.Reply]] = {}

    async def __aenter__(self) -> Self:
        for candidate in rows.read(self._path, Candidate):
            self._said[candidate.problem, candidate.index] = _turns(candidate)
        return await super().__aenter__()

    def reply(self, prompt: str, key: str) -> playback.Reply:
        problem, index, turn = key.rsplit("/", 2)
        turns = self._said.get((problem, int(index)), [])
        if int(turn) >= len(turns):
            raise EngineError(f"{self.name}: turn {turn} of attempt {index} at {problem} was not stored: this plan generates differently")
        return turns[int(turn)]


def _turns(candidate: Candidate) -> list[playback.Reply]:
    """What the model said, piece by piece; its tokens are dealt by length."""
    said = [piece.text for piece in tool_syntax.pieces(candidate) if piece.generated]
    chars = max(1, sum(map(len, said)))
    ends = [round(candidate.num_tokens * sum(map(len, said[: place + 1])) / chars) for place in range(len(said))]
    return [playback.Reply(text, end - begin) for text, begin, end in zip(said, [0, *ends], ends, strict=False)]
