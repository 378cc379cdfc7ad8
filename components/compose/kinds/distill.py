"""What a teacher wrote, to be imitated: every attempt that came to its own end, right or (if params.yaml says so) not."""

from collections.abc import Iterator
from typing import Literal

from components.compose import solutions
from components.compose.kind import Group, Kind, refuse
from components.core.types import Candidate, Dropped, Example
from components.lib import prompts


class Distill(Kind):
    """Prompts and teacher texts."""

    kind: Literal["distill"]
    keep: solutions.Keep
    right_only: bool
    """False: a teacher's errors are imitated too, as in JK-Piece's distillation of QwQ-32B, which never looks at answers."""

    def make(self, group: Group) -> Iterator[Example | Dropped]:
        question = prompts.render(self.prompt, statement=group.problem.statement)
        yield from solutions.rows("distill", group, self.keep, lambda one: self._refuse(group, one), lambda _: question)

    def _refuse(self, group: Group, candidate: Candidate) -> str | None:
        if self.right_only:
            return refuse(group.problem, candidate)
        return None if candidate.ended == "stop" else f"ended by {candidate.ended}"
