"""So many attempts by each prompt, all side by side. 1st place of AIMO-2: 12 by one prompt; 2nd: 7 CoT and 8 code, in turn; 9th: 8 and 2."""

from collections.abc import Mapping
from itertools import chain, zip_longest
from typing import Literal

from components.core.params import Settings
from components.solve.desk import Desk


class Fixed(Settings):
    """{kind: fixed, asks: {cot: 7, tir: 8}, in_turn: true}"""

    kind: Literal["fixed"]
    asks: dict[str, int]
    """Attempts per prompt."""
    in_turn: bool
    """Whether prompts alternate, so that a clock that allows fewer attempts cuts both; else one prompt's attempts follow the other's."""

    @property
    def most(self) -> int:
        return sum(self.asks.values())

    @property
    def prompts(self) -> list[str]:
        return list(self.asks)

    async def sit(self, desk: Desk) -> None:
        modes = order(self.asks, self.in_turn)[: desk.allowance.candidates]
        desk.planned = len(modes)
        await desk.run([desk.ask(mode) for mode in modes])


def order(asks: Mapping[str, int], in_turn: bool) -> list[str]:
    """The prompt of each attempt."""
    rows = [[mode] * count for mode, count in asks.items()]
    dealt = zip_longest(*rows) if in_turn else rows
    return [mode for mode in chain.from_iterable(dealt) if mode is not None]
