"""Where a growing text is over: at the stop string or the caller's own reason that comes first, whatever pieces the text arrives in.

All engines that look for themselves use this, so that the same text ends at the same character everywhere. Pure.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from components.lib.engine.protocol import Until


class Cut(NamedTuple):
    """What ended a text. A stop string comes before a reason that holds at the same place."""

    length: int
    """Characters that are left of the text."""
    ended: Literal["stop", "until"]
    by: str
    """The stop string, or the reason's name."""


def first(text: str, seen: int, stop: Sequence[str], until: Sequence[Until] = ()) -> Cut | None:
    """The first cut of the text, whose first `seen` characters are known to hold none."""
    found = [Cut(at + len(s), "stop", s) for s in stop if (at := text.find(s, max(0, seen - len(s) + 1))) >= 0]
    found += [Cut(length, "until", reason.name) for reason in until if (length := _held(text, seen, reason)) is not None]
    return min(found, default=None)


def _held(text: str, seen: int, reason: Until) -> int | None:
    """Where the reason holds first, asked after each new character that may bring it about."""
    places = (at for at in range(seen + 1, len(text) + 1) if not reason.closers or text[at - 1] in reason.closers)
    return next((length for at in places if (length := reason.find(text[:at])) is not None), None)
