"""What all kinds of sets share: the attempts of one problem as they come in, the fields of every kind, chat messages out of an attempt."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from components.core.params import Settings
from components.core.types import Annotation, Candidate, Dropped, Example, Message, Preference, Problem, Prompt
from components.lib import tool_syntax
from components.lib.answers import Contest

TrainingRow = Example | Preference | Prompt


class AttemptGroup(NamedTuple):
    """One problem, its attempts of the wanted mode, and what models said of them."""

    problem: Problem
    candidates: Sequence[Candidate]
    """In openmath, whatever they were made in (lib/tool_translation.py)."""
    annotations: Sequence[Annotation]
    contest: Contest
    seed: int


class Kind(Settings):
    """One kind of training set."""

    file: ClassVar[str] = "examples"
    """The name of the file that its rows lie in."""
    row: ClassVar[type[TrainingRow]] = Example
    brought: ClassVar[Literal["cot", "tir"] | None] = None
    """Of the solutions that sources bring along, those that it takes beside the attempts: without code, or with it; None: none."""

    mode: str
    """The prompt that the attempts were asked with."""
    prompt: str
    """The prompt that the rows hold."""
    max_rows: int = Field(ge=1)

    def make(self, group: AttemptGroup) -> Iterator[TrainingRow | Dropped]:
        """The rows of one problem, and what was left out."""
        raise NotImplementedError

    def defects(self) -> tuple[str, ...]:
        """What is known to be imperfect about every set made so; stands on its card."""
        return ()


def dropped_row(kind: str, problem: Problem, candidate: Candidate | None, reason: str) -> Dropped:
    """A row of the side file: the attempt, or the whole problem, and why it was not taken."""
    name = f"{kind}/{problem.id}" if candidate is None else f"{kind}/{problem.id}/{candidate.index}"
    return Dropped(id=name, statement=problem.statement, reason=reason, detail=candidate.text if candidate else "")


def user_message(content: str) -> Message:
    """A user message; it never carries loss."""
    return Message(role="user", content=content, loss=False)


def assistant_turn(candidate: Candidate) -> tuple[Message, ...]:
    """An attempt as one assistant turn in pieces; only what it generated carries loss."""
    cut = tool_syntax.pieces(candidate)
    return tuple(Message(role="tool" if piece.output else "assistant", content=piece.text, loss=piece.generated) for piece in cut)


def rejection_reason(problem: Problem, candidate: Candidate) -> str | None:
    """Why an attempt does not count as a right solution, or None. What no one has judged is not right."""
    if candidate.answer is None:
        return f"no answer: {candidate.abstained}"
    if problem.answer is None:
        return "no verdict"
    if candidate.answer != problem.answer:
        return "wrong answer"
    return None if candidate.finish_reason == "stop" else f"ended by {candidate.finish_reason}"
