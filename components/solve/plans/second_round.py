"""A second round only where the first one does not agree. Public notebooks of AIMO-3; more solutions for hard problems of a data build.

AIMO-3: 8 attempts; fewer than 2 equal answers: 4 more, by a prompt that lists the candidates and asks to verify. OpenMathReasoning makes
more solutions of hard problems, and calls those hard that a model seldom solves; here that is told by disagreement, for a plan
that looked at the known answer could not sit an exam.
"""

from collections import Counter
from typing import Literal

from components.core.params import Settings
from components.solve.desk import Desk


class SecondRound(Settings):
    """{kind: second_round, prompt: cot, begin: 8, agree: 2, again: verify, more: 4}"""

    kind: Literal["second_round"]
    prompt: str
    begin: int
    agree: int
    """So many equal answers make the second round unnecessary."""
    again: str
    """The prompt of the second round; the same one again, or one that shows what was found in its field `candidates`."""
    more: int

    @property
    def most(self) -> int:
        return self.begin + self.more

    @property
    def prompts(self) -> list[str]:
        return [self.prompt, self.again]

    async def sit(self, desk: Desk) -> None:
        desk.planned = min(self.begin, desk.allowance.candidates or self.begin)
        await desk.run([desk.ask(self.prompt) for _ in range(desk.planned)])
        votes = Counter(finished.answer for finished in desk.finished if finished.answer is not None)
        if desk.settled or not votes or max(votes.values()) >= self.agree:
            return
        desk.planned += self.more
        shown = "\n".join(f"- {answer} (found {votes[answer]} times)" for answer in sorted(votes))
        await desk.run([desk.ask(self.again, candidates=shown) for _ in range(self.more)])
