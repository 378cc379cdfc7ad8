"""Few attempts to a depth, then more of those that are not finished, each going on alone. 3rd place of AIMO-2 (Aliev).

There: 5 attempts of 4,096 tokens; every unfinished one doubled, to 10, for 4,096 more; unless more than 6 have answered and one answer
holds more than 70 % of them (a stopping rule), 7 unfinished ones at random, doubled to 14, for 4,096 more. Prefix caching makes doubles
cheap.
"""

from random import Random
from typing import Literal, NamedTuple

from components.core.params import Settings
from components.solve.attempt import Attempt
from components.solve.question_run import QuestionRun


class Round(NamedTuple):
    """One round after the first."""

    keep: int | None
    """Unfinished attempts that go on, drawn at random; null: all."""
    depth: int
    """Generated tokens to which they go on."""


class Branching(Settings):
    """{kind: branching, prompt: cot, initial: 5, depth: 4096, rounds: [[null, 8192], [7, 12288]]}"""

    kind: Literal["branching"]
    prompt: str
    initial: int
    depth: int
    rounds: list[Round]
    """Before each, every unfinished attempt that is kept gets a double."""

    @property
    def max_concurrency(self) -> int:
        alive = self.initial
        for round in self.rounds:
            alive = 2 * min(alive, round.keep if round.keep is not None else alive)
        return max(self.initial, alive) + self.initial

    @property
    def prompts(self) -> list[str]:
        return [self.prompt]

    async def sample(self, question: QuestionRun) -> None:
        depths = [self.depth, *(round.depth for round in self.rounds)]
        alive = [question.new_attempt(self.prompt) for _ in range(min(self.initial, question.budget.candidates or self.initial))]
        for place, depth in enumerate(depths):
            question.planned = len(question.finished) + len(alive)
            params = question.params._replace(sampling=question.params.sampling._replace(max_tokens=depth))
            await question.run(alive, params, last=depth == depths[-1])
            alive = [attempt for attempt in alive if attempt.finish_reason == "length"]
            if question.stopped or not alive or place == len(self.rounds):
                return
            alive = self._doubled(question, alive, self.rounds[place].keep)

    def _doubled(self, question: QuestionRun, alive: list[Attempt], keep: int | None) -> list[Attempt]:
        if keep is not None and keep < len(alive):
            lot = Random(f"{question.params.seed}/{question.problem.id}/{len(question.attempts)}")
            alive = [alive[place] for place in sorted(lot.sample(range(len(alive)), keep))]
        return alive + [question.branch(attempt) for attempt in alive]
