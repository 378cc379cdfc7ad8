"""Prompts for reinforcement learning, each with the answer that a reward goes by.

A problem whose answer is no integer of the contest is an error row in the side file. The code this is modelled on (open-r1, and the 9th
place after it) rewards every completion of such a problem instead.
"""

from collections.abc import Iterator
from typing import Literal

from components.compose.kind import AttemptGroup, Kind, dropped_row, user_message
from components.core.types import Dropped, Prompt
from components.lib import prompts


class Grpo(Kind):
    """Prompts and golds."""

    file = "prompts"
    row = Prompt

    kind: Literal["grpo"]

    def make(self, group: AttemptGroup) -> Iterator[Prompt | Dropped]:
        problem, gold = group.problem, group.problem.answer
        if gold is None:
            yield dropped_row("grpo", problem, None, "error: the gold is no integer")
        elif not group.contest.low <= gold <= group.contest.high:
            yield dropped_row("grpo", problem, None, "error: the gold is out of range")
        else:
            question = user_message(prompts.render(self.prompt, statement=problem.statement))
            yield Prompt(id=f"grpo/{problem.id}", problem=problem.id, messages=(question,), gold=gold)
