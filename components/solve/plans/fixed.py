"""So many attempts by each prompt, all side by side. AIMO-2: 12 by one prompt (1st place); 7 CoT and 8 code (2nd); 8 and 2 (9th)."""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Literal, NamedTuple

from components.core.params import Settings
from components.solve.attempt import Attempt, AttemptParams
from components.solve.question_run import QuestionRun
from components.solve.stop_conditions import StopConditionName


class PromptCount(NamedTuple):
    """So many attempts by one prompt."""

    prompt: str
    attempts: int
    stop_conditions: list[StopConditionName] | None = None
    """What ends these attempts; null: what ends all of the run. 2nd place: a box ends a CoT attempt, a print one that writes code."""


class Fixed(Settings):
    """{kind: fixed, attempts: [[cot, 7], [tir, 8, [printed]]], interleave: true}"""

    kind: Literal["fixed"]
    attempts: list[PromptCount]
    interleave: bool
    """Whether prompts alternate, so that a clock that allows fewer attempts cuts both; else one prompt's attempts follow the other's."""

    @property
    def max_concurrency(self) -> int:
        return sum(ask.attempts for ask in self.attempts)

    @property
    def prompts(self) -> list[str]:
        return [ask.prompt for ask in self.attempts]

    async def sample(self, question: QuestionRun) -> None:
        modes = order(self.attempts, self.interleave)[: question.budget.candidates]
        question.planned = len(modes)
        own = {ask.prompt: tuple(ask.stop_conditions) for ask in self.attempts if ask.stop_conditions is not None}

        def how(attempt: Attempt) -> AttemptParams:
            return question.params._replace(stop_conditions=own.get(attempt.mode, question.params.stop_conditions))

        await question.run([question.new_attempt(mode) for mode in modes], how)


def order(attempts: Sequence[PromptCount], interleave: bool) -> list[str]:
    """The prompt of each attempt."""
    rows = [[ask.prompt] * ask.attempts for ask in attempts]
    dealt = zip_longest(*rows) if interleave else rows
    return [mode for mode in chain.from_iterable(dealt) if mode is not None]
