"""Solutions as training rows: what the kinds cot, tir and distill share once each has said what it refuses."""

from collections.abc import Callable, Iterator
from typing import Literal

from components.compose.kind import AttemptGroup, assistant_turn, dropped_row, user_message
from components.core.types import Candidate, Dropped, Example, Message

Keep = Literal["all", "shortest"]
"""Of the solutions of one problem that nothing speaks against: all, or (9th place) the shortest alone."""


def rows(
    kind: Literal["cot", "tir", "distill"],
    group: AttemptGroup,
    keep: Keep,
    rejection_reason: Callable[[Candidate], str | None],
    ask: Callable[[Candidate], str],
) -> Iterator[Example | Dropped]:
    """Every attempt once: as a row, or left out with its reason."""
    reasons = dict(_reasons(group, rejection_reason))
    fit = [candidate for candidate in group.candidates if reasons[candidate.index] is None]
    shortest = min(fit, key=lambda candidate: len(candidate.text), default=None)
    for candidate in group.candidates:
        reason = reasons[candidate.index]
        if reason is None and keep == "shortest" and candidate is not shortest:
            reason = "a shorter one is kept"
        if reason:
            yield dropped_row(kind, group.problem, candidate, reason)
        else:
            yield _example(kind, candidate, user_message(ask(candidate)))


def _reasons(group: AttemptGroup, rejection_reason: Callable[[Candidate], str | None]) -> Iterator[tuple[int, str | None]]:
    seen = set()
    for candidate in group.candidates:
        reason = rejection_reason(candidate)
        yield candidate.index, "same text" if reason is None and candidate.text in seen else reason
        seen.add(candidate.text)


def _example(kind: Literal["cot", "tir", "distill"], candidate: Candidate, question: Message) -> Example:
    return Example(
        id=f"{kind}/{candidate.problem}/{candidate.index}",
        problem=candidate.problem,
        candidate=candidate.index,
        kind=kind,
        messages=(question, *assistant_turn(candidate)),
    )
