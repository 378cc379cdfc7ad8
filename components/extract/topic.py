"""One topic, from its posts to its problems: one request after another, in the order of NeMo-Skills' stages.

What a classifier says yes to is dropped, and the later ones are not asked; a reply that says neither yes nor no counts as no, and is
counted. A proof can be rewritten into a question without an answer. That is off in every profile: NVIDIA, who did so for OpenMathReasoning,
found such rows to be of low quality and took them out of Nemotron-Math-v2. A problem whose answer was never written down is kept without
one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from components.core.types import Dropped, Message, Problem, Row, Topic
from components.extract import parsing
from components.lib.answers import Contest, gold
from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.prompts import render

KINDS = ("proof", "mcq", "binary", "invalid")
"""What is dropped, in the order in which it is asked."""


class ExtractedTopic(Row):
    """A finished topic, as one line of the growing file."""

    topic: str
    problems: tuple[Problem, ...]
    dropped: tuple[Dropped, ...]
    requests: int
    tokens: int
    unparsed: int
    """Replies to a classifier that began with neither of the words it offers."""


class Extractor(NamedTuple):
    """Who is asked, and how."""

    engine: Engine
    sampling: Sampling
    seed: int
    contest: Contest
    convert_proofs: bool


class Usage(NamedTuple):
    """What a topic has cost so far."""

    tokens: list[int]
    """Of each reply."""
    unparsed: list[str]
    """Keys of unparsed replies."""


async def extract_problems(topic: Topic, extractor: Extractor) -> ExtractedTopic:
    """All problems of one topic."""
    usage = Usage([], [])
    posts = join_posts(topic.posts)
    reply = await _ask(extractor, usage, f"{topic.id}/extract", "extract", posts=posts)
    statements = parsing.problems(reply.text) if reply.finish_reason != "length" else None
    if not statements:
        reason = "no problem" if statements == [] else "reply cut off" if reply.finish_reason == "length" else "reply not understood"
        dropped = Dropped(id=topic.id, statement=topic.posts[0], reason=reason, detail=reply.text[:500])
        return ExtractedTopic(topic=topic.id, problems=(), dropped=(dropped,), requests=1, tokens=sum(usage.tokens), unparsed=0)
    found = [
        row
        for number, statement in enumerate(statements, 1)
        for row in await _problem(extractor, usage, topic, f"{topic.id}-{number}", statement, posts)
    ]
    return ExtractedTopic(
        topic=topic.id,
        problems=tuple(row for row in found if isinstance(row, Problem)),
        dropped=tuple(row for row in found if isinstance(row, Dropped)),
        requests=len(usage.tokens),
        tokens=sum(usage.tokens),
        unparsed=len(usage.unparsed),
    )


def join_posts(posts: Sequence[str]) -> str:
    """The posts as prompts show them."""
    return "\n\n".join(f"Post {number}:\n{post}" for number, post in enumerate(posts, 1))


async def _problem(extractor: Extractor, usage: Usage, topic: Topic, name: str, statement: str, posts: str) -> list[Problem | Dropped]:
    kind = await _kind(extractor, usage, name, statement)
    if kind == "proof" and extractor.convert_proofs:
        return await _converted(extractor, usage, topic, name, statement)
    if kind is not None:
        return [Dropped(id=name, statement=statement, reason=kind, detail="")]
    reply = await _ask(extractor, usage, f"{name}/answer", "answer", statement=statement, posts=posts)
    written = parsing.answer(reply.text)
    try:
        answer = gold(written, extractor.contest) if written is not None else None
    except ValueError as error:
        reason = "answer out of range" if "outside" in str(error) else "answer not an integer"
        return [Dropped(id=name, statement=statement, reason=reason, detail=str(written)[:500])]
    return [Problem(id=name, statement=statement, answer=answer, source=topic.source, licence=topic.licence, group=name)]


async def _kind(extractor: Extractor, usage: Usage, name: str, statement: str) -> str | None:
    """The first kind that a classifier says yes to, or None where a single value answers the problem."""
    for kind in KINDS:
        key = f"{name}/classify-{kind}"
        reply = await _ask(extractor, usage, key, "classify", kind=kind, statement=statement)
        verdict = parsing.classification(kind, reply.text)
        if verdict:
            return kind
        if verdict is None:
            usage.unparsed.append(key)
    return None


async def _converted(extractor: Extractor, usage: Usage, topic: Topic, name: str, statement: str) -> list[Problem | Dropped]:
    """The question that a proof was made into, under a source of its own, and the proof beside it."""
    reply = await _ask(extractor, usage, f"{name}/convert", "convert", statement=statement)
    question = parsing.question(reply.text) if reply.finish_reason != "length" else None
    if question is None:
        return [Dropped(id=name, statement=statement, reason="proof", detail=reply.text[:500])]
    made = Problem(
        id=f"{name}-question", statement=question, answer=None, source=f"{topic.source}-converted", licence=topic.licence, group=name
    )
    return [made, Dropped(id=name, statement=statement, reason="proof", detail="made into a question", other=made.id)]


async def _ask(extractor: Extractor, usage: Usage, key: str, prompt: str, **fields: str) -> Completion:
    asked = extractor.engine.render([Message(role="user", content=render(prompt, **fields), loss=False)])
    reply = await extractor.engine.complete(asked, extractor.sampling, key=key, seed=extractor.seed)
    usage.tokens.append(reply.num_tokens)
    return reply
