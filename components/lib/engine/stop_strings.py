"""Stop strings, stop conditions and the other ends of a text: where a growing text is over, whatever pieces it arrives in.

All engines that look for themselves use `find_stop`, so that the same text ends at the same character everywhere. `StopChecker` looks at
rows of generated tokens: it knows a byte-level tokenizer (chat_template.py) and no model. Tokens like `<think>` stay
in the text; the token that ends the turn is counted, as servers count it, and is not part of the text.
"""

from collections.abc import Collection, Sequence
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.protocol import Completion, Sampling, StopCondition


class StopMatch(NamedTuple):
    """What ended a text. A stop string comes before a reason that holds at the same place."""

    length: int
    """Characters that are left of the text."""
    finish_reason: Literal["stop", "stop_condition"]
    by: str
    """The stop string, or the reason's name."""


def find_stop(text: str, seen: int, stop: Sequence[str], conditions: Sequence[StopCondition] = ()) -> StopMatch | None:
    """The first cut of the text, whose first `seen` characters are known to hold none."""
    found = [StopMatch(at + len(s), "stop", s) for s in stop if (at := text.find(s, max(0, seen - len(s) + 1))) >= 0]
    found += [
        StopMatch(length, "stop_condition", reason.name) for reason in conditions if (length := _held(text, seen, reason)) is not None
    ]
    return min(found, default=None)


def _held(text: str, seen: int, reason: StopCondition) -> int | None:
    """Where the reason holds first, asked after each new character that may bring it about."""
    places = (at for at in range(seen + 1, len(text) + 1) if not reason.closers or text[at - 1] in reason.closers)
    return next((length for at in places if (length := reason.find(text[:at])) is not None), None)


class StopChecker:
    """Reads rows through a tokenizer."""

    def __init__(self, chat: ChatTokenizer, ends: Collection[int]) -> None:
        self._chat, self._ends = chat, frozenset(ends)
        self._closers = lru_cache(maxsize=8)(self._find_closers)

    def so_far(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        """The text of a row that may be unfinished."""
        text = self._chat.decode(ids[:-1] if ids and ids[-1] in self._ends else ids)
        cut = find_stop(text, 0, stop)
        return text[: cut.length] if cut else text

    def ending(self, ids: Sequence[int], sampling: Sampling) -> Completion | None:
        """The completion that the last token brought, or None while the row goes on."""
        if ids[-1] in self._ends:
            return Completion(self._chat.decode(ids[:-1]), len(ids), "stop", None, ids=tuple(ids[:-1]))
        if self._may_close(ids, sampling.stop) or any(self._may_hold(ids[-1], condition.closers) for condition in sampling.stop_conditions):
            text = self._chat.decode(ids)
            cut = find_stop(text, max(0, len(text) - len(self._texts[ids[-1]])), sampling.stop, sampling.stop_conditions)
            if cut is not None:
                left = text[: cut.length]
                return Completion(left, len(ids), cut.finish_reason, cut.by, ids=self._chat.cut(ids, left))
        if len(ids) < sampling.max_tokens:
            return None
        return Completion(self._chat.decode(ids), len(ids), "length", None, ids=tuple(ids))

    def _may_close(self, ids: Sequence[int], stop: tuple[str, ...]) -> bool:
        """Whether the last token could complete a stop string: cheap, asked for every row at every step."""
        if not stop or ids[-1] not in self._closers(frozenset(s[-1] for s in stop)):
            return False
        tail = self._chat.decode(ids[-max(len(s.encode()) for s in stop) :])  # a token is a byte at least
        return any(s in tail for s in stop)

    def _may_hold(self, token: int, closers: str) -> bool:
        """Whether a caller's reason is worth asking after this token."""
        return not closers or token in self._closers(frozenset(closers))

    @cached_property
    def _texts(self) -> list[str]:
        """Each token by itself."""
        return self._chat.texts()

    def _find_closers(self, lasts: frozenset[str]) -> frozenset[int]:
        """The tokens whose text holds one of the characters; a part of a character counts as any."""
        return frozenset(token for token, text in enumerate(self._texts) if (lasts | {"\ufffd"}) & set(text))
