"""Think first, then turn the thought into a program, then mend the program. 17th place of AIMO-2 (ippeiogawa).

There: 2,000 to 4,000 tokens of thought, cut off where they end; a prompt that shows question and thought and begins the reply itself with
the head of a program; the program with its error shown again, to be mended, more than once; 4 attempts by code and 12 by box.
"""

from typing import Literal

from components.core.params import Settings
from components.solve.attempt import Attempt
from components.solve.desk import Desk
from components.solve.plans.program import one_program, opening


class Staged(Settings):
    """{kind: staged, think: ..., code: ..., mend: ..., answer: ..., thoughts: 4, think_tokens: 4000, programs: 1, mends: 2, answers: 3}"""

    kind: Literal["staged"]
    think: str
    """The prompt of the thought."""
    code: str
    """Asks for a program; has the field `thought`."""
    mend: str
    """Asks to mend it; has the fields `code` and `error`."""
    answer: str
    """Asks for a boxed answer after the thought; has the field `thought`."""
    thoughts: int
    think_tokens: int
    programs: int
    """Per thought."""
    mends: int
    """Rounds of mending at most."""
    answers: int
    """Boxed answers per thought."""

    @property
    def most(self) -> int:
        return self.thoughts * (1 + self.programs + self.answers)

    @property
    def prompts(self) -> list[str]:
        return [self.think, self.code, self.mend, self.answer]

    async def sit(self, desk: Desk) -> None:
        thoughts = [desk.ask(self.think) for _ in range(self.thoughts)]
        thinking = desk.manner._replace(sampling=desk.manner.sampling._replace(max_tokens=self.think_tokens))
        await desk.run(thoughts, thinking, counts=False)
        programs = [self._program(desk, self.code, thought, thought=thought.text) for thought in thoughts for _ in range(self.programs)]
        boxes = [desk.ask(self.answer, parent=thought, thought=thought.text) for thought in thoughts for _ in range(self.answers)]
        desk.planned = len(programs) + len(boxes)
        await desk.run([*programs, *boxes], one_program(desk.manner))
        for _ in range(self.mends):
            failed = [p for p in programs if p.runs and p.runs[-1].status != "ok"]
            if desk.settled or not failed:
                return
            programs = [self._program(desk, self.mend, p, code=p.runs[-1].code, error=p.runs[-1].output) for p in failed]
            desk.planned += len(programs)
            await desk.run(programs, one_program(desk.manner))

    def _program(self, desk: Desk, mode: str, parent: Attempt, **fields: str) -> Attempt:
        """Its reply is begun for it: the head of a program."""
        return desk.ask(mode, opening(desk.manner), parent, **fields)
