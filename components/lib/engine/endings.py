"""When a row of generated tokens is over: the end of the turn, a stop string, a caller's reason, or its budget; and the text it then is.

Knows a byte-level tokenizer (decoding a tail needs nothing before it) and no model. Tokens like `<think>` stay in the text; the token
that ends the turn is counted, as servers count it, and is not part of the text.
"""

import threading
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from components.lib.engine.protocol import Completion, Sampling


class Endings:
    """Reads rows through a tokenizer. Safe to call from two threads: a fast tokenizer refuses to be borrowed twice."""

    def __init__(self, tokenizer: Any, ends: Collection[int]) -> None:
        self._tokenizer, self._ends = tokenizer, frozenset(ends)
        self._lock = threading.Lock()
        self._closers = lru_cache(maxsize=8)(self._find_closers)

    def encode(self, prompt: str) -> list[int]:
        with self._lock:
            return self._tokenizer(prompt, add_special_tokens=False)["input_ids"]

    def text(self, ids: Sequence[int]) -> str:
        with self._lock:
            return self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def so_far(self, ids: Sequence[int], stop: Sequence[str]) -> str:
        """The text of a row that may be unfinished."""
        text = self.text(ids[:-1] if ids and ids[-1] in self._ends else ids)
        return self._cut(text, stop)[0]

    def ending(self, ids: Sequence[int], sampling: Sampling) -> Completion | None:
        """The completion that the last token brought, or None while the row goes on."""
        if ids[-1] in self._ends:
            return Completion(self.text(ids[:-1]), len(ids), "stop", None)
        if sampling.stop and self._may_close(ids, sampling.stop):
            text, stop = self._cut(self.text(ids), sampling.stop)
            if stop is not None:
                return Completion(text, len(ids), "stop", stop)
        for until in sampling.until:
            if not until.closers or ids[-1] in self._closers(tuple(until.closers)):
                text = self.text(ids)
                if (length := until.find(text)) is not None:
                    return Completion(text[:length], len(ids), "until", until.name)
        return Completion(self.text(ids), len(ids), "length", None) if len(ids) >= sampling.max_tokens else None

    def _may_close(self, ids: Sequence[int], stop: tuple[str, ...]) -> bool:
        """Whether the last token could complete a stop string: cheap, asked for every row at every step."""
        if ids[-1] not in self._closers(stop):
            return False
        tail = self.text(ids[-max(len(s.encode()) for s in stop) :])  # a token is a byte at least
        return any(s in tail for s in stop)

    def _find_closers(self, stop: tuple[str, ...]) -> frozenset[int]:
        """The tokens whose text holds the last character of a stop string; a part of a character counts as any."""
        lasts = {s[-1] for s in stop} | {"\ufffd"}
        with self._lock:
            size = len(self._tokenizer)
            texts = self._tokenizer.batch_decode([[token] for token in range(size)], clean_up_tokenization_spaces=False)
        return frozenset(token for token, text in enumerate(texts) if lasts & set(text))

    @staticmethod
    def _cut(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
        """The text up to and with the stop string that comes first."""
        found = [(text.find(s) + len(s), s) for s in stop if s in text]
        end, first = min(found, default=(len(text), None))
        return text[:end], first
