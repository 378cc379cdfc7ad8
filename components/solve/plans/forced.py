"""Thinking paths that are made to write programs at given depths, again and again. 20th place of AIMO-2 (Arek Paterek).

There: 7 prompts, temperature 0.7 falling to 0.2 from path to path, programs at 5,000 to 6,000 tokens with temperature 0.15, paths ending
near 7,000 and asked for a boxed answer there: up to 108 programs and 9 boxes on one question. All programs of a path branch at the same
depth, so that the server keeps one prefix for them.
"""

from typing import Literal

from components.core.params import Settings
from components.solve.attempt import Attempt, AttemptParams
from components.solve.question_run import QuestionRun

BOX = "\n</think>\n\nThe final answer is \\boxed{"


class Forced(Settings):
    """{kind: forced, prompts: [a, b], paths: 9, first_temperature: 0.7, last_temperature: 0.2, depths: [5000, 5500, 6000], programs: 4,
    ...}
    """

    kind: Literal["forced"]
    prompts: list[str]
    """The prompts, dealt to the paths in turn."""
    paths: int
    first_temperature: float
    last_temperature: float
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
    def max_concurrency(self) -> int:
        return self.paths * (2 + len(self.depths) * self.programs)

    async def sample(self, question: QuestionRun) -> None:
        paths = [question.new_attempt(self.prompts[place % len(self.prompts)]) for place in range(self.paths)]
        question.planned = self.paths * (1 + len(self.depths) * self.programs)
        for depth in self.depths:
            await self._walk(question, paths, depth)
            paths = [path for path in paths if path.finish_reason == "length"]
            programs = [question.branch(path, "\n" + question.params.call_opening) for path in paths for _ in range(self.programs)]
            await question.run(programs, _to(question.params, depth + self.program_tokens).for_one_program(self.program_temperature))
            if question.stopped or not paths:
                return
        if self.box_tokens:
            boxes = [question.branch(path, BOX) for path in paths]
            await question.run(boxes, _to(question.params, self.depths[-1] + self.box_tokens)._replace(stop_conditions=("boxed",)))

    async def _walk(self, question: QuestionRun, paths: list[Attempt], depth: int) -> None:
        """Each path at its own temperature, all side by side."""
        await question.run(paths, lambda path: _at(_to(question.params, depth), self._temperature(path.index)), last=False)

    def _temperature(self, place: int) -> float:
        return self.first_temperature - (self.first_temperature - self.last_temperature) * place / max(1, self.paths - 1)


def _to(params: AttemptParams, depth: int) -> AttemptParams:
    return params._replace(sampling=params.sampling._replace(max_tokens=depth))


def _at(params: AttemptParams, temperature: float) -> AttemptParams:
    return params._replace(sampling=params.sampling._replace(temperature=temperature))
