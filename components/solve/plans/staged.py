"""Think first, then turn the thought into a program, then repair the program. 17th place of AIMO-2 (ippeiogawa).

There: 2,000 to 4,000 tokens of thought, cut off where they end; a prompt that shows question and thought and begins the reply itself with
`</think>` and the head of a program; the program with its error shown again, to be repaired, more than once; 4 attempts by code and 12
by box.
"""

from typing import Literal

from components.core.params import Settings
from components.solve.attempt import Attempt
from components.solve.question_run import QuestionRun


class Staged(Settings):
    """{kind: staged, think: ..., code: ..., repair: ..., answer: ..., thoughts: 4, think_tokens: 4000,
    prefill: "</think>", programs: 1, repair_rounds: 2, answers: 3}
    """

    kind: Literal["staged"]
    think: str
    """The prompt of the thought."""
    code: str
    """Asks for a program; has the field `thought`."""
    repair: str
    """Asks to repair it; has the fields `code` and `error`."""
    answer: str
    """Asks for a boxed answer after the thought; has the field `thought`."""
    thoughts: int
    think_tokens: int
    prefill: str
    """What begins a reply with a program, before the program's head: the end of a thought that the chat template opened."""
    programs: int
    """Per thought."""
    repair_rounds: int
    """Rounds of repair at most."""
    answers: int
    """Boxed answers per thought."""

    @property
    def max_concurrency(self) -> int:
        return self.thoughts * (1 + self.programs + self.answers)

    @property
    def prompts(self) -> list[str]:
        return [self.think, self.code, self.repair, self.answer]

    async def sample(self, question: QuestionRun) -> None:
        thoughts = [question.new_attempt(self.think) for _ in range(self.thoughts)]
        thinking = question.params._replace(sampling=question.params.sampling._replace(max_tokens=self.think_tokens))
        await question.run(thoughts, thinking, counts=False)
        programs = [self._program(question, self.code, thought, thought=thought.text) for thought in thoughts for _ in range(self.programs)]
        boxes = [
            question.new_attempt(self.answer, parent=thought, thought=thought.text) for thought in thoughts for _ in range(self.answers)
        ]
        question.planned = len(programs) + len(boxes)
        await question.run([*programs, *boxes], question.params.for_one_program())
        for _ in range(self.repair_rounds):
            failed = [p for p in programs if p.runs and p.runs[-1].status != "ok"]
            if question.stopped or not failed:
                return
            programs = [self._program(question, self.repair, p, code=p.runs[-1].code, error=p.runs[-1].output) for p in failed]
            question.planned += len(programs)
            await question.run(programs, question.params.for_one_program())

    def _program(self, question: QuestionRun, mode: str, parent: Attempt, **fields: str) -> Attempt:
        """Its reply is begun for it."""
        return question.new_attempt(mode, self.prefill + question.params.call_opening, parent, **fields)
