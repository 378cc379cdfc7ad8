"""A model's word on what may be a benchmark's problem: does the row ask what the problem next to it asks?

The rule is NeMo-Skills' (judge/check-contamination): the suspected or nearest problem is put beside the row, in both orders where
`both_orders` says so, and one "same" is enough. Each pair's verdict is kept as it comes, so that a killed run goes on after the last
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
from components.curate.contamination import Match, Overlap
from components.curate.nearest_neighbours import Nearest, NearestNeighbours
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.protocol import Engine, Sampling
from components.lib.prompts import render

BATCH = 256
"""Rows whose vectors are held at once."""


class LlmDecontamination(Settings):
    """Who is asked."""

    engine: str | None
    """null: nobody."""
    model: str
    """What answers: a file of recorded replies, a model's folder or name."""
    nearest: Nearest | None
    """Whether the nearest problem of each benchmark is asked about too; null: only suspects."""
    both_orders: bool
    """Whether each pair is shown in both orders; one "same" is enough."""
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    num_concurrent: int = Field(ge=1)
    """Pairs that are read at the same time."""


class Pair(NamedTuple):
    """A row and the benchmark's problem that it may be."""

    row: int
    id: str
    statement: str
    match: Match
    benchmark_statement: str


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


def pairs(
    config: LlmDecontamination, problems: Iterable[tuple[int, Problem]], overlaps: Mapping[int, Overlap], asked: Sequence[Problem]
) -> Iterator[Pair]:
    """Each row beside what it is suspected to be, then beside the nearest problems of the benchmarks that it was not found in yet."""
    said = {(problem.source, problem.id): problem.statement for problem in asked}
    neighbours = NearestNeighbours(config.nearest, asked) if config.nearest and asked else None
    left = iter(problems)
    while batch := list(islice(left, BATCH)):
        near = neighbours.of([problem.statement for _, problem in batch]) if neighbours else ([] for _ in batch)
        for (row, problem), nearest in zip(batch, near, strict=True):
            overlap = overlaps.get(row, Overlap((), None))
            suspected = [overlap.suspect] if overlap.suspect else []
            known = {match.benchmark for match in overlap.matches} | {(match.benchmark, match.problem) for match in suspected}
            for match in [*suspected, *nearest]:
                if match in suspected or not known & {match.benchmark, (match.benchmark, match.problem)}:
                    yield Pair(row, problem.id, problem.statement, match, said[match.benchmark, match.problem])


async def ask_all(config: LlmDecontamination, seed: int, engine: Engine, given: Iterator[Pair], kept: Path) -> None:
    """Appends a verdict per pair to `kept`, in their order, from where it stands."""
    sampling = Sampling(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=config.max_tokens, stop=())

    async def read(pair: Pair) -> Verdict:
        orders = {"same": (pair.statement, pair.benchmark_statement), "same-back": (pair.benchmark_statement, pair.statement)}
        said = []
        for name, (first, second) in list(orders.items())[: 1 + config.both_orders]:
            prompt = engine.render([Message(role="user", content=render("same", first=first, second=second), loss=False)])
            key = f"{pair.id}/{pair.match.benchmark}/{pair.match.problem}/{name}"
            said.append((await engine.complete(prompt, sampling, key=key, seed=seed)).text)
        benchmark, how, problem = pair.match
        same = any(map(says_same, said))
        return Verdict(row=pair.row, id=pair.id, benchmark=benchmark, problem=problem, how=how, same=same, replies=tuple(said))

    async with engine:
        await map_resumable(engine, given, read, Verdict, kept, config.num_concurrent)


def says_same(reply: str) -> bool:
    """Whether a reply begins with the word."""
    return re.match(r"[\W_]*same(?![^\W_])", reply, re.IGNORECASE) is not None
