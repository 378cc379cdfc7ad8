"""One topic, from its posts to its problems: one request after another, in the order of NeMo-Skills' stages.

What a classifier says yes to is dropped, and the later ones are not asked; a reply that says neither yes nor no counts as no, and is
counted. A proof can be rewritten into a question without an answer. That is off in every profile: NVIDIA, who did so for OpenMathReasoning,
found such rows to be of low quality and took them out of Nemotron-Math-v2. A problem whose answer was never written down is kept without
one.
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
    unclear: int
    """Replies to a classifier that began with neither of the words it offers."""


class Reader(NamedTuple):
    """Who is asked, and how."""

    engine: Engine
    sampling: Sampling
    seed: int
    contest: Contest
    convert_proofs: bool


class Spent(NamedTuple):
    """What a topic has cost so far."""

    tokens: list[int]
    """Of each reply."""
    unclear: list[str]
    """Keys of unclear replies."""


async def read(topic: Topic, reader: Reader) -> Asked:
    """All problems of one topic."""
    spent = Spent([], [])
    posts = joined(topic.posts)
    reply = await _ask(reader, spent, f"{topic.id}/extract", "extract", posts=posts)
    statements = replies.problems(reply.text) if reply.ended != "length" else None
    if not statements:
        reason = "no problem" if statements == [] else "reply cut off" if reply.ended == "length" else "reply not understood"
        dropped = Dropped(id=topic.id, statement=topic.posts[0], reason=reason, detail=reply.text[:500])
        return Asked(topic=topic.id, problems=(), dropped=(dropped,), requests=1, tokens=sum(spent.tokens), unclear=0)
    found = [
        row
        for number, statement in enumerate(statements, 1)
        for row in await _problem(reader, spent, topic, f"{topic.id}-{number}", statement, posts)
    ]
    return Asked(
        topic=topic.id,
        problems=tuple(row for row in found if isinstance(row, Problem)),
        dropped=tuple(row for row in found if isinstance(row, Dropped)),
        requests=len(spent.tokens),
        tokens=sum(spent.tokens),
        unclear=len(spent.unclear),
    )


def joined(posts: Sequence[str]) -> str:
    """The posts as prompts show them."""
    return "\n\n".join(f"Post {number}:\n{post}" for number, post in enumerate(posts, 1))


async def _problem(reader: Reader, spent: Spent, topic: Topic, name: str, statement: str, posts: str) -> list[Problem | Dropped]:
    kind = await _kind(reader, spent, name, statement)
    if kind == "proof" and reader.convert_proofs:
        return await _converted(reader, spent, topic, name, statement)
    if kind is not None:
        return [Dropped(id=name, statement=statement, reason=kind, detail="")]
    reply = await _ask(reader, spent, f"{name}/answer", "answer", statement=statement, posts=posts)
    written = replies.answer(reply.text)
    try:
        answer = gold(written, reader.contest) if written is not None else None
    except ValueError as error:
        reason = "answer out of range" if "outside" in str(error) else "answer not an integer"
        return [Dropped(id=name, statement=statement, reason=reason, detail=str(written)[:500])]
    return [Problem(id=name, statement=statement, answer=answer, source=topic.source, licence=topic.licence, group=name)]


async def _kind(reader: Reader, spent: Spent, name: str, statement: str) -> str | None:
    """The first kind that a classifier says yes to, or None where a single value answers the problem."""
    for kind in KINDS:
        key = f"{name}/classify-{kind}"
        reply = await _ask(reader, spent, key, "classify", kind=kind, statement=statement)
        verdict = replies.says(kind, reply.text)
        if verdict:
            return kind
        if verdict is None:
            spent.unclear.append(key)
    return None


async def _converted(reader: Reader, spent: Spent, topic: Topic, name: str, statement: str) -> list[Problem | Dropped]:
    """The question that a proof was made into, under a source of its own, and the proof beside it."""
    reply = await _ask(reader, spent, f"{name}/convert", "convert", statement=statement)
    question = replies.question(reply.text) if reply.ended != "length" else None
    if question is None:
        return [Dropped(id=name, statement=statement, reason="proof", detail=reply.text[:500])]
    made = Problem(
        id=f"{name}-question", statement=question, answer=None, source=f"{topic.source}-converted", licence=topic.licence, group=name
    )
    return [made, Dropped(id=name, statement=statement, reason="proof", detail="made into a question", other=made.id)]


async def _ask(reader: Reader, spent: Spent, key: str, prompt: str, **fields: str) -> Completion:
    asked = reader.engine.render([Message(role="user", content=render(prompt, **fields), loss=False)])
    reply = await reader.engine.complete(asked, reader.sampling, key=key, seed=reader.seed)
    spent.tokens.append(reply.num_tokens)
    return reply
