"""Thinking paths that are made to write programs at given depths, again and again. 20th place of AIMO-2 (Arek Paterek).

There: 7 prompts, temperature 0.7 falling to 0.2 from path to path, programs at 5,000 to 6,000 tokens with temperature 0.15, paths ending
near 7,000 and asked for a boxed answer there: up to 108 programs and 9 boxes on one question. All programs of a path branch at the same
depth, so that the server keeps one prefix for them.
"""

from typing import Literal

from components.core.params import Settings
from components.solve.attempt import Attempt, Manner
from components.solve.desk import Desk
from components.solve.plans.program import one_program, opening

BOX = "\n</think>\n\nThe final answer is \\boxed{"


class Forced(Settings):
    """{kind: forced, asks: [a, b], paths: 9, hottest: 0.7, coolest: 0.2, depths: [5000, 5500, 6000], programs: 4, ...}"""

    kind: Literal["forced"]
    asks: list[str]
    """The prompts, dealt to the paths in turn."""
    paths: int
    hottest: float
    coolest: float
    """Temperatures of the first and the last path."""
    depths: list[int]
    """Generated tokens at which each path is made to write programs; rising."""
    programs: int
    """Per path and depth."""
    program_temperature: float
    program_tokens: int
    box_tokens: int
    """For the boxed answer at the last depth; 0: none is asked for."""

    @property
    def most(self) -> int:
        return self.paths * (2 + len(self.depths) * self.programs)

    @property
    def prompts(self) -> list[str]:
        return self.asks

    async def sit(self, desk: Desk) -> None:
        paths = [desk.ask(self.asks[place % len(self.asks)]) for place in range(self.paths)]
        desk.planned = self.paths * (1 + len(self.depths) * self.programs)
        for depth in self.depths:
            await self._walk(desk, paths, depth)
            paths = [path for path in paths if path.ended == "length"]
            programs = [desk.branch(path, "\n" + opening(desk.manner)) for path in paths for _ in range(self.programs)]
            await desk.run(programs, one_program(_to(desk.manner, depth + self.program_tokens), self.program_temperature))
            if desk.settled or not paths:
                return
        if self.box_tokens:
            boxes = [desk.branch(path, BOX) for path in paths]
            await desk.run(boxes, _to(desk.manner, self.depths[-1] + self.box_tokens)._replace(ends=("boxed",)))

    async def _walk(self, desk: Desk, paths: list[Attempt], depth: int) -> None:
        """Each path at its own temperature, all side by side."""
        await desk.run(paths, lambda path: _at(_to(desk.manner, depth), self._temperature(path.index)), last=False)

    def _temperature(self, place: int) -> float:
        return self.hottest - (self.hottest - self.coolest) * place / max(1, self.paths - 1)


def _to(manner: Manner, depth: int) -> Manner:
    return manner._replace(sampling=manner.sampling._replace(max_tokens=depth))


def _at(manner: Manner, temperature: float) -> Manner:
    return manner._replace(sampling=manner.sampling._replace(temperature=temperature))
