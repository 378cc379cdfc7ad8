"""The stopping rules of a question as params.yaml lists them, and what a list of them decides.

    early_stopping: [{kind: agree, of_first: 5, equal: 4}, {kind: stragglers, finished: 10}]

Any of the list stops the question; an empty list never does. A rule's `should_stop(tally)` says after which events it holds, [..., T]. A
new rule is one Settings class in stopping_rules.py and its name in `StopRule`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from components.lib.rules.stopping_rules import (
    Agree,
    Count,
    Diverged,
    Exits,
    Identical,
    Junk,
    Last,
    Lead,
    Radical,
    Repeats,
    Share,
    ShareOfAnswers,
    Stragglers,
    Unreachable,
)
from components.lib.rules.tally import Tally

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

StopRule = Annotated[
    Agree
    | Last
    | Repeats
    | Identical
    | Share
    | ShareOfAnswers
    | Lead
    | Unreachable
    | Radical
    | Count
    | Stragglers
    | Exits
    | Junk
    | Diverged,
    Field(discriminator="kind"),
]
NOBODY = -1


class Decision(NamedTuple):
    """What the rules say after each event, [..., T]."""

    stop: "Numbers"
    """bool: the question is over."""
    given_up: "Numbers"
    """bool: it is over and lost: the fallback counts, not the vote."""
    by: "Numbers"
    """The place in the list of the first rule that holds; NOBODY where none does."""


class StopDecision(NamedTuple):
    """Why a live question is over."""

    rule: int
    """Place in the list of rules."""
    given_up: bool


def decide(stops: Sequence[StopRule], tally: Tally) -> Decision:
    """Any of the rules; where several hold after the same event, the one that is listed first counts."""
    import numpy as np

    by = np.full(tally.answers.shape, NOBODY)
    given_up: Numbers = np.zeros(tally.answers.shape, bool)
    for place, rule in reversed(list(enumerate(stops))):
        should_stop = rule.should_stop(tally)
        by = np.where(should_stop, place, by)
        given_up = np.where(should_stop, gives_up(rule), given_up)
    return Decision(by != NOBODY, given_up, by)


def check(stops: Sequence[StopRule], tally: Tally) -> StopDecision | None:
    """A live question after its latest event: None goes on."""
    decision = decide(stops, tally)
    return StopDecision(int(decision.by[-1]), bool(decision.given_up[-1])) if decision.stop.size and decision.stop[-1] else None


def gives_up(rule: StopRule) -> bool:
    """Whether a question that this rule ends counts as lost."""
    return getattr(rule, "gives_up", False)
