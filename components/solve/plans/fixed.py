"""So many attempts by each prompt, all side by side. AIMO-2: 12 by one prompt (1st place); 7 CoT and 8 code (2nd); 8 and 2 (9th)."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Literal, NamedTuple

from components.core.params import Settings
from components.solve.attempt import Attempt, Manner
from components.solve.desk import Desk
from components.solve.ends import End


class Ask(NamedTuple):
    """So many attempts by one prompt."""

    prompt: str
    attempts: int
    ends: list[End] | None = None
    """What ends these attempts; null: what ends all of the sitting. 2nd place: a box ends a CoT attempt, a print one that writes code."""


class Fixed(Settings):
    """{kind: fixed, asks: [[cot, 7], [tir, 8, [printed]]], in_turn: true}"""

    kind: Literal["fixed"]
    asks: list[Ask]
    in_turn: bool
    """Whether prompts alternate, so that a clock that allows fewer attempts cuts both; else one prompt's attempts follow the other's."""

    @property
    def most(self) -> int:
        return sum(ask.attempts for ask in self.asks)

    @property
    def prompts(self) -> list[str]:
        return [ask.prompt for ask in self.asks]

    async def sit(self, desk: Desk) -> None:
        modes = order(self.asks, self.in_turn)[: desk.allowance.candidates]
        desk.planned = len(modes)
        own = {ask.prompt: tuple(ask.ends) for ask in self.asks if ask.ends is not None}

        def how(attempt: Attempt) -> Manner:
            return desk.manner._replace(ends=own.get(attempt.mode, desk.manner.ends))

        await desk.run([desk.ask(mode) for mode in modes], how)


def order(asks: Sequence[Ask], in_turn: bool) -> list[str]:
    """The prompt of each attempt."""
    rows = [[ask.prompt] * ask.attempts for ask in asks]
    dealt = zip_longest(*rows) if in_turn else rows
    return [mode for mode in chain.from_iterable(dealt) if mode is not None]
