"""A second round only where the first one does not agree. Public notebooks of AIMO-3; more solutions for hard problems of a data build.

AIMO-3: 8 attempts; fewer than 2 equal answers: 4 more, by a prompt that lists the candidates and asks to verify. OpenMathReasoning makes
more solutions of hard problems, and calls those hard that a model seldom solves; here that is told by disagreement, for a plan
that looked at the known answer could not take an exam.
"""

from collections import Counter
from typing import Literal

from components.core.params import Settings
from components.solve.question_run import QuestionRun


class SecondRound(Settings):
    """{kind: second_round, prompt: cot, initial: 8, min_agreement: 2, second_prompt: verify, additional: 4}"""

    kind: Literal["second_round"]
    prompt: str
    initial: int
    min_agreement: int
    """So many equal answers make the second round unnecessary."""
    second_prompt: str
    """The prompt of the second round; the same one again, or one that shows what was found in its field `candidates`."""
    additional: int

    @property
    def max_concurrency(self) -> int:
        return self.initial + self.additional

    @property
    def prompts(self) -> list[str]:
        return [self.prompt, self.second_prompt]

    async def sample(self, question: QuestionRun) -> None:
        question.planned = min(self.initial, question.budget.candidates or self.initial)
        await question.run([question.new_attempt(self.prompt) for _ in range(question.planned)])
        votes = Counter(finished.answer for finished in question.finished if finished.answer is not None)
        if question.stopped or not votes or max(votes.values()) >= self.min_agreement:
            return
        question.planned += self.additional
        shown = "\n".join(f"- {answer} (found {votes[answer]} times)" for answer in sorted(votes))
        await question.run([question.new_attempt(self.second_prompt, candidates=shown) for _ in range(self.additional)])
