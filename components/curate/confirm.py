"""A model's word on suspects: does the row ask what the benchmark's problem next to it asks?

The rule is NeMo-Skills' (judge/check-contamination): the nearest problem is put beside the row, in both orders where `both_ways` says so,
and one "same" is enough. Each pair's verdict is kept as it comes, so that a killed run goes on after the last one. A reply that begins
with neither word leaves the row a suspect. Does not know what follows from it.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.core import rows
from components.core.params import Settings
from components.core.types import Message, Row
from components.lib.engine.callers import start
from components.lib.engine.protocol import Engine, Sampling
from components.lib.prompts import render


class Confirm(Settings):
    """Who is asked."""

    engine: str | None
    """null: nobody."""
    model: str
    """What answers: a file of recorded replies, a model's folder or name."""
    both_ways: bool
    """Whether each pair is shown in both orders; one "same" is enough."""
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    at_once: int = Field(ge=1)
    """Pairs that are read at the same time."""


class Pair(NamedTuple):
    """A suspect and the problem that it resembles."""

    row: int
    id: str
    statement: str
    asked: str


class Verdict(Row):
    """A line of the growing file."""

    row: int
    id: str
    same: bool
    replies: tuple[str, ...]


async def confirmed(config: Confirm, seed: int, engine: Engine, pairs: Iterator[Pair], kept: Path) -> set[int]:
    """The rows that a model calls the same as their problem. A sheet of `at_once` pairs is read whole before the next one begins."""
    sampling = Sampling(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=config.max_tokens, stop=())
    with rows.Growing(kept) as growing:
        left = islice(pairs, sum(1 for _ in rows.read(kept, Verdict)), None)
        async with engine:
            while sheet := list(islice(left, config.at_once)):
                for verdict in await _sheet(engine, sampling, seed, sheet, config.both_ways):
                    growing.append(verdict)
    return {verdict.row for verdict in rows.read(kept, Verdict) if verdict.same}


async def _sheet(engine: Engine, sampling: Sampling, seed: int, sheet: Iterable[Pair], both_ways: bool) -> list[Verdict]:
    async def read(pair: Pair) -> Verdict:
        orders = {"same": (pair.statement, pair.asked), "same-back": (pair.asked, pair.statement)}
        said = []
        for name, (first, second) in list(orders.items())[: 1 + both_ways]:
            prompt = engine.render([Message(role="user", content=render("same", first=first, second=second), loss=False)])
            said.append((await engine.complete(prompt, sampling, key=f"{pair.id}/{name}", seed=seed)).text)
        return Verdict(row=pair.row, id=pair.id, same=any(map(says_same, said)), replies=tuple(said))

    try:
        async with asyncio.TaskGroup() as group:
            tasks = start(group, engine, [read(pair) for pair in sheet])
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def says_same(reply: str) -> bool:
    """Whether a reply begins with the word."""
    return re.match(r"[\W_]*same(?![^\W_])", reply, re.IGNORECASE) is not None
