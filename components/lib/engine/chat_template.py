"""A tokenizer with its chat template: text to ids, piece by piece, the same in a sitting (whichever engine) and in training.

The prompt is rendered by the template and tokenised once, with exactly one BOS where the template writes it or the tokenizer adds it; every
other piece is tokenised by itself, without special tokens. Covered: byte-level tokenizers, where decoding needs nothing before it.
"""

import json
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from itertools import chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from components.core.errors import UserError
from components.core.types import Message
from components.lib.engine.tokens import Tokens

TODAY = date(2025, 8, 5)
"""Today's date for templates that ask for it: no two days would give the same prompt else. gpt-oss appeared on it."""
ANSWER = "ANSWER"
"""Stands for an assistant's turn where the template is asked how it ends one."""


class ChatTokenizer:
    """Safe to call from two threads: a fast tokenizer refuses to be borrowed twice."""

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`arguments` are the template's own (reasoning_effort, enable_thinking, builtin_tools).

        Raises UserError where there is no chat template.
        """
        self.tokenizer, self._arguments, self._folder = tokenizer, arguments, tokenizer.name_or_path
        self._lock = threading.Lock()
        if not tokenizer.chat_template:
            raise UserError(f"{self._folder}: its tokenizer has no chat template; add chat_template.jinja to the folder (ChatML will do)")
        self._template = _dated(tokenizer.get_chat_template())
        self._added_bos = tokenizer.bos_token if tokenizer.bos_token_id in tokenizer("")["input_ids"] else ""
        """What the tokenizer puts before a text by itself."""

    @classmethod
    def load(cls, folder: Path, arguments: Mapping[str, Any] = MappingProxyType({})) -> "ChatTokenizer":
        """The tokenizer of a model folder, which was checked."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(folder, local_files_only=True), arguments)

    def prompt(self, messages: Sequence[Message], arguments: Mapping[str, Any] = MappingProxyType({})) -> Tokens:
        """A chat, ready for the assistant's turn; `arguments` beside the template's own, which count."""
        text = self.render([(message.role, message.content) for message in messages], add_generation_prompt=True, arguments=arguments)
        return self.encode(text if text.startswith(self._added_bos) else self._added_bos + text)

    def encode(self, text: str) -> Tokens:
        """One piece, by itself."""
        with self._lock:
            return Tokens(text, tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        with self._lock:
            return str(self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False))

    def texts(self) -> list[str]:
        """Each token by itself."""
        with self._lock:
            tokens = [[token] for token in range(len(self.tokenizer))]
            return list(self.tokenizer.batch_decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def cut(self, ids: Sequence[int], text: str, *, skip_special_tokens: bool = False) -> tuple[int, ...]:
        """The ids of a generation of which `text` is left, as they were drawn; `skip_special_tokens`: the text does not show those.

        Where the cut falls within a token, its rest is tokenised anew, together with so many tokens before it as tokenising joins to it.
        """
        ways = self._ways(ids, text, partial(self.decode, skip_special_tokens=skip_special_tokens))
        kept = next(ways)
        if kept == tuple(ids[: len(kept)]):
            return kept
        return next((one for one, earlier in pairwise(chain([kept], ways)) if one == earlier), kept)

    def _ways(self, ids: Sequence[int], text: str, decode: Callable[[Sequence[int]], str]) -> Iterator[tuple[int, ...]]:
        """The text as ever fewer of the drawn ids, the rest tokenised."""
        beyond = bisect_left(range(len(ids) + 1), True, key=lambda num: not text.startswith(decode(ids[:num]).rstrip("\ufffd")))
        for num in reversed(range(beyond)):
            before = decode(ids[:num])
            if text.startswith(before):  # else it ends within a character
                yield (*ids[:num], *self.encode(text[len(before) :]).ids)

    def bare(self, text: str) -> str:
        """A prompt for whoever tokenises it as a whole, and puts BOS before it where this tokenizer does."""
        return text.removeprefix(self._added_bos)

    @cached_property
    def end_of_turn(self) -> Tokens:
        """What the template writes after an assistant's last turn, to the token that ends it; raises UserError where there is none."""
        written = self.render([("user", "QUESTION"), ("assistant", ANSWER)], add_generation_prompt=False)
        _, found, tail = written.rpartition(ANSWER)
        if not found:
            raise UserError(f"{self._folder}: its chat template leaves out what an assistant said; mend chat_template.jinja")
        ids = self.encode(tail).ids
        ends = [place for place, token in enumerate(ids) if token in self.tokenizer.added_tokens_decoder]
        if ends:
            return Tokens(self.decode(ids[: ends[0] + 1]), ids[: ends[0] + 1])
        if tail.strip() or self.tokenizer.eos_token_id is None:
            raise UserError(
                f"{self._folder}: its chat template writes {tail!r} after an assistant's turn, in which no token of its tokenizer ends it; "
                "take template and tokenizer of one model"
            )
        return Tokens(self.tokenizer.eos_token, (self.tokenizer.eos_token_id,))

    def render(
        self, chat: Sequence[tuple[str, str]], *, add_generation_prompt: bool, arguments: Mapping[str, Any] = MappingProxyType({})
    ) -> str:
        """What the template makes of a chat of (role, content)."""
        messages = [{"role": role, "content": content} for role, content in chat]
        given = {**arguments, **self._arguments}
        return str(
            self.tokenizer.apply_chat_template(
                messages, chat_template=self._template, add_generation_prompt=add_generation_prompt, tokenize=False, **given
            )
        )


def _dated(template: str) -> str:
    """The template with TODAY where it asks for the day."""
    return _DAY.sub(lambda asked: repr(TODAY.strftime(asked[2])), template)


_DAY = re.compile(r"""\bstrftime_now\((["'])(.*?)\1\)""")


def template_of(folder: Path) -> str:
    """The chat template of a model folder, without loading its tokenizer; raises UserError where there is none."""
    alone, config = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if alone.is_file():
        return alone.read_text(encoding="utf-8")
    found = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    if isinstance(found, list):  # several by name
        found = next((entry["template"] for entry in found if entry["name"] == "default"), None)
    if not found:
        raise UserError(f"{folder}: no chat template; add chat_template.jinja of an instruct model (ChatML will do)")
    return str(found)
