"""Few attempts to a depth, then more of those that are not finished, each going on alone. 3rd place of AIMO-2 (Aliev).

There: 5 attempts of 4,096 tokens; every unfinished one doubled, to 10, for 4,096 more; unless more than 6 have answered and one answer
holds more than 70 % of them (a stopping rule), 7 unfinished ones by lot, doubled to 14, for 4,096 more. Prefix caching makes doubles
cheap.
"""

from random import Random
from typing import Literal, NamedTuple

from components.core.params import Settings
from components.solve.attempt import Attempt
from components.solve.desk import Desk


class Round(NamedTuple):
    """One round after the first."""

    keep: int | None
    """Unfinished attempts that go on, drawn by lot; null: all."""
    depth: int
    """Generated tokens to which they go on."""


class Branching(Settings):
    """{kind: branching, prompt: cot, begin: 5, depth: 4096, rounds: [[null, 8192], [7, 12288]]}"""

    kind: Literal["branching"]
    prompt: str
    begin: int
    depth: int
    rounds: list[Round]
    """Before each, every unfinished attempt that is kept gets a double."""

    @property
    def most(self) -> int:
        alive = self.begin
        for round in self.rounds:
            alive = 2 * min(alive, round.keep if round.keep is not None else alive)
        return max(self.begin, alive) + self.begin

    @property
    def prompts(self) -> list[str]:
        return [self.prompt]

    async def sit(self, desk: Desk) -> None:
        depths = [self.depth, *(round.depth for round in self.rounds)]
        alive = [desk.ask(self.prompt) for _ in range(min(self.begin, desk.allowance.candidates or self.begin))]
        for place, depth in enumerate(depths):
            desk.planned = len(desk.finished) + len(alive)
            manner = desk.manner._replace(sampling=desk.manner.sampling._replace(max_tokens=depth))
            await desk.run(alive, manner, last=depth == depths[-1])
            alive = [attempt for attempt in alive if attempt.ended == "length"]
            if desk.settled or not alive or place == len(self.rounds):
                return
            alive = self._doubled(desk, alive, self.rounds[place].keep)

    def _doubled(self, desk: Desk, alive: list[Attempt], keep: int | None) -> list[Attempt]:
        if keep is not None and keep < len(alive):
            lot = Random(f"{desk.manner.seed}/{desk.problem.id}/{len(desk.attempts)}")
            alive = [alive[place] for place in sorted(lot.sample(range(len(alive)), keep))]
        return alive + [desk.branch(attempt) for attempt in alive]
