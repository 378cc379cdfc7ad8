"""Topics of a forum dump: whole discussions, not yet problems.

Two forms of rows: {id, posts: [...]}, and NeMo-Skills' {forum_post, forum_discussions: "Post 1:..."}. Quoted posts are cut out, because
they repeat what another post says; BBCode, HTML and LaTeX stay as they are. Fetches nothing: a dump is given, and the forum's robots.txt
and terms of use bind whoever makes one.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from components.collect.files import FileSource
from components.collect.readers import File, field, rows_of
from components.collect.source import excerpt, statement_error, write_rows
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Dropped, Topic
from components.lib.answers import Contest

CHARS_PER_TOKEN = 4
"""No tokenizer is fixed yet where topics are collected; for English with LaTeX this errs on the side of fewer characters."""
_QUOTE = re.compile(r"\[quote(?:\s*=[^\]]*)?\]|(\[/quote\])", re.IGNORECASE)


class Source(FileSource):
    """A dump of topics."""

    kind: Literal["forum"]
    use: Literal["topics"]
    max_tokens: Annotated[int, Field(ge=1)]
    """Posts are kept up to so many tokens a topic, counted as characters / 4."""

    def write(self, contest: Contest, out: Path) -> Metrics:
        self.check_licence()
        counts = Counter[str]({"posts": 0, "posts_truncated": 0})
        with self.files() as (files, digest):
            return {**write_rows(out, "topics", Topic, self._topics(files, counts)), **counts, "sha256": digest}

    def _topics(self, files: list[File], counts: Counter[str]) -> Iterator[Topic | Dropped]:
        seen: set[str] = set()
        for number, (where, record) in enumerate(rows_of(files), 1):
            name = str(record.get("id", f"{self.name}-{number}"))
            if name in seen:
                raise UserError(f"{where}: the id '{name}' is there twice; give each topic its own")
            seen.add(name)
            yield self._topic(name, _posts(record, where), counts)

    def _topic(self, name: str, posts: list[str], counts: Counter[str]) -> Topic | Dropped:
        clean = [post for post in map(strip_quotes, posts) if post]
        bad = next((reason for reason in map(statement_error, clean) if reason), None) if clean else "no text"
        if bad is not None:
            return Dropped(id=name, statement=excerpt(posts[0] if posts else ""), reason=bad.replace("statement", "post"), detail="")
        kept = _within(clean, self.max_tokens * CHARS_PER_TOKEN)
        if not kept:
            return Dropped(id=name, statement=excerpt(clean[0]), reason="first post too long", detail=f"{len(clean[0])} characters")
        counts.update(posts=len(kept), posts_truncated=len(clean) - len(kept))
        return Topic(id=name, posts=tuple(kept), source=self.name, licence=self.licence)


def strip_quotes(post: str) -> str:
    """A post without its [quote]...[/quote] blocks, nested ones too. An unclosed block stays; a closing tag alone goes."""
    cuts, opened = [], list[int]()
    for tag in _QUOTE.finditer(post):
        if tag[1] is None:
            opened.append(tag.start())
        else:
            cuts.append((opened.pop() if opened else tag.start(), tag.end()))
    kept, at = [], 0
    for begin, end in sorted(cuts):
        kept.append(post[at:begin] if begin >= at else "")
        at = max(at, end)
    return "".join([*kept, post[at:]]).strip()


def _posts(record: dict[str, Any], where: str) -> list[str]:
    if "forum_post" in record:
        posts = [record["forum_post"], *_discussion(field(record, "forum_discussions", where) or "")]
    else:
        posts = field(record, "posts", where)
    if not isinstance(posts, list) or not all(isinstance(post, str) for post in posts):
        raise UserError(f"{where}: posts must be a list of texts")
    return posts


def _discussion(text: str) -> Iterator[str]:
    """The posts of "Post 1:\\n...\\n\\nPost 2:\\n...": only the next number in order begins a new one."""
    number, at = 1, 0
    while True:
        begin = re.compile(rf"(?:\A|\n\n)Post {number}:").search(text, at)
        if begin is None:
            return
        after = re.compile(rf"\n\nPost {number + 1}:").search(text, begin.end())
        yield text[begin.end() : after.start() if after else len(text)].strip()
        number, at = number + 1, after.start() if after else len(text)


def _within(posts: list[str], max_chars: int) -> list[str]:
    kept, total = [], 0
    for post in posts:
        total += len(post)
        if total > max_chars:
            break
        kept.append(post)
    return kept
