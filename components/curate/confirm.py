"""A model's word on what may be a benchmark's problem: does the row ask what the problem next to it asks?

The rule is NeMo-Skills' (judge/check-contamination): the suspected or nearest problem is put beside the row, in both orders where
`both_ways` says so, and one "same" is enough. Each pair's verdict is kept as it comes, so that a killed run goes on after the last
one. A reply that begins with neither word says nothing. Does not know what follows from it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.core.params import Settings
from components.core.types import Message, Problem, Row
from components.curate.leaks import Hit, Look
from components.curate.nearest import Nearby, Nearest
from components.lib.engine.callers import resumed
from components.lib.engine.protocol import Engine, Sampling
from components.lib.prompts import render

COMPARED = 256
"""Rows whose vectors are held at once."""


class Confirm(Settings):
    """Who is asked."""

    engine: str | None
    """null: nobody."""
    model: str
    """What answers: a file of recorded replies, a model's folder or name."""
    nearest: Nearest | None
    """Whether the nearest problem of each benchmark is asked about too; null: only suspects."""
    both_ways: bool
    """Whether each pair is shown in both orders; one "same" is enough."""
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    at_once: int = Field(ge=1)
    """Pairs that are read at the same time."""


class Pair(NamedTuple):
    """A row and the benchmark's problem that it may be."""

    row: int
    id: str
    statement: str
    hit: Hit
    asked: str


class Verdict(Row):
    """What was said of a pair."""

    row: int
    id: str
    benchmark: str
    problem: str
    how: str
    """Why the two were put side by side."""
    same: bool
    replies: tuple[str, ...]


def pairs(config: Confirm, problems: Iterable[tuple[int, Problem]], looks: Mapping[int, Look], asked: Sequence[Problem]) -> Iterator[Pair]:
    """Each row beside what it is suspected to be, then beside the nearest problems of the benchmarks that it was not found in yet."""
    said = {(problem.source, problem.id): problem.statement for problem in asked}
    nearby = Nearby(config.nearest, asked) if config.nearest and asked else None
    left = iter(problems)
    while batch := list(islice(left, COMPARED)):
        near = nearby.of([problem.statement for _, problem in batch]) if nearby else ([] for _ in batch)
        for (row, problem), nearest in zip(batch, near, strict=True):
            look = looks.get(row, Look((), None))
            suspected = [look.suspect] if look.suspect else []
            known = {hit.benchmark for hit in look.hits} | {(hit.benchmark, hit.problem) for hit in suspected}
            for hit in [*suspected, *nearest]:
                if hit in suspected or not known & {hit.benchmark, (hit.benchmark, hit.problem)}:
                    yield Pair(row, problem.id, problem.statement, hit, said[hit.benchmark, hit.problem])


async def ask_all(config: Confirm, seed: int, engine: Engine, given: Iterator[Pair], kept: Path) -> None:
    """Appends a verdict per pair to `kept`, in their order, from where it stands."""
    sampling = Sampling(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=config.max_tokens, stop=())

    async def read(pair: Pair) -> Verdict:
        orders = {"same": (pair.statement, pair.asked), "same-back": (pair.asked, pair.statement)}
        said = []
        for name, (first, second) in list(orders.items())[: 1 + config.both_ways]:
            prompt = engine.render([Message(role="user", content=render("same", first=first, second=second), loss=False)])
            key = f"{pair.id}/{pair.hit.benchmark}/{pair.hit.problem}/{name}"
            said.append((await engine.complete(prompt, sampling, key=key, seed=seed)).text)
        benchmark, how, problem = pair.hit
        same = any(map(says_same, said))
        return Verdict(row=pair.row, id=pair.id, benchmark=benchmark, problem=problem, how=how, same=same, replies=tuple(said))

    async with engine:
        await resumed(engine, given, read, Verdict, kept, config.at_once)


def says_same(reply: str) -> bool:
    """Whether a reply begins with the word."""
    return re.match(r"[\W_]*same(?![^\W_])", reply, re.IGNORECASE) is not None
