"""One topic, from its posts to its problems: one request after another, in the order of NeMo-Skills' stages.

What a classifier says yes to is dropped, and the later ones are not asked. Proofs are not rewritten into questions: NVIDIA took such rows
out of a later data set again (Nemotron-Math-v2). A problem whose answer was never written down is kept without one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from components.core.types import Dropped, Message, Problem, Row, Topic
from components.extract import replies
from components.lib.answers import Contest, gold
from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.prompts import render

KINDS = ("proof", "mcq", "binary", "invalid")
"""What is dropped, in the order in which it is asked."""


class Asked(Row):
    """A finished topic, as one line of the growing file."""

    topic: str
    problems: tuple[Problem, ...]
    dropped: tuple[Dropped, ...]
    requests: int
    tokens: int


class Reader(NamedTuple):
    """Who is asked, and how."""

    engine: Engine
    sampling: Sampling
    seed: int
    contest: Contest


async def read(topic: Topic, reader: Reader) -> Asked:
    """All problems of one topic."""
    spent: list[int] = []
    posts = joined(topic.posts)
    reply = await _ask(reader, spent, f"{topic.id}/extract", "extract", posts=posts)
    statements = replies.problems(reply.text) if reply.ended != "length" else None
    if not statements:
        reason = "no problem" if statements == [] else "reply cut off" if reply.ended == "length" else "reply not understood"
        dropped = Dropped(id=topic.id, statement=topic.posts[0], reason=reason, detail=reply.text[:500])
        return Asked(topic=topic.id, problems=(), dropped=(dropped,), requests=1, tokens=sum(spent))
    found = [
        await _problem(reader, spent, topic, f"{topic.id}-{number}", statement, posts) for number, statement in enumerate(statements, 1)
    ]
    return Asked(
        topic=topic.id,
        problems=tuple(row for row in found if isinstance(row, Problem)),
        dropped=tuple(row for row in found if isinstance(row, Dropped)),
        requests=len(spent),
        tokens=sum(spent),
    )


def joined(posts: Sequence[str]) -> str:
    """The posts as prompts show them."""
    return "\n\n".join(f"Post {number}:\n{post}" for number, post in enumerate(posts, 1))


async def _problem(reader: Reader, spent: list[int], topic: Topic, name: str, statement: str, posts: str) -> Problem | Dropped:
    for kind in KINDS:
        reply = await _ask(reader, spent, f"{name}/classify-{kind}", "classify", kind=kind, statement=statement)
        if replies.says(kind, reply.text):
            return Dropped(id=name, statement=statement, reason=kind, detail="")
    reply = await _ask(reader, spent, f"{name}/answer", "answer", statement=statement, posts=posts)
    written = replies.answer(reply.text)
    try:
        answer = gold(written, reader.contest) if written is not None else None
    except ValueError as error:
        reason = "answer out of range" if "outside" in str(error) else "answer not an integer"
        return Dropped(id=name, statement=statement, reason=reason, detail=str(written)[:500])
    return Problem(id=name, statement=statement, answer=answer, source=topic.source, licence=topic.licence, group=name)


async def _ask(reader: Reader, spent: list[int], key: str, prompt: str, **fields: str) -> Completion:
    asked = reader.engine.render([Message(role="user", content=render(prompt, **fields), loss=False)])
    reply = await reader.engine.complete(asked, reader.sampling, key=key, seed=reader.seed)
    spent.append(reply.num_tokens)
    return reply
