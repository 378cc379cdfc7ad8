"""What a teacher wrote, to be imitated: every attempt that came to its own end, right or (if params.yaml says so) not."""

from collections.abc import Iterator
from typing import Literal

from components.compose import solutions
from components.compose.kind import AttemptGroup, Kind, rejection_reason
from components.core.types import Candidate, Dropped, Example
from components.lib import prompts


class Distill(Kind):
    """Prompts and teacher texts."""

    brought = "cot"
    kind: Literal["distill"]
    keep: solutions.Keep
    correct_only: bool
    """False: a teacher's errors are imitated too, as in JK-Piece's distillation of QwQ-32B, which never looks at answers."""

    def make(self, group: AttemptGroup) -> Iterator[Example | Dropped]:
        question = prompts.render(self.prompt, statement=group.problem.statement)
        yield from solutions.rows("distill", group, self.keep, lambda one: self._rejection_reason(group, one), lambda _: question)

    def _rejection_reason(self, group: AttemptGroup, candidate: Candidate) -> str | None:
        if self.correct_only:
            return rejection_reason(group.problem, candidate)
        return None if candidate.finish_reason == "stop" else f"ended by {candidate.finish_reason}"
