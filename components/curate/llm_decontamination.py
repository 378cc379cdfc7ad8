"""A model's word on what may be a benchmark's problem: does the row ask what the problem next to it asks?

The rule is NeMo-Skills' (judge/check-contamination): the suspected problem, and of each benchmark the nearest one by TF-IDF or embedding,
is put beside the row, in both orders where `both_orders` says so, and one "same" is enough. No score alone decides: of NeMo-Skills' ten
examples the rules (contamination.py) miss two, whose twins are the nearest at a TF-IDF cosine of 0.74 and 0.85, and 1.5 % and 1 % of the
AIME problems of 1983 to 2019 come as near to some problem. 23 % of them come within 0.5, 89 % within 0.3. Each pair's verdict is kept as
it comes, so that a killed run goes on after the last one. A reply that begins with neither word says nothing. Does not know what follows
from it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from components.core.params import Settings
from components.core.types import Message, Problem, Row
from components.curate.contamination import Match, Overlap
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.protocol import Engine, Sampling
from components.lib.prompts import render
from components.lib.similarity import Embedding, Tfidf, cosines

BATCH = 256
"""Rows whose vectors are held at once."""


class Nearest(Settings):
    """How rows and problems are compared."""

    similarity: Annotated[Tfidf | Embedding, Field(discriminator="by")]
    min_similarity: float = Field(ge=-1, le=1)
    """A cosine below this is not shown to the model (NeMo-Skills: none is)."""


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


class NearestNeighbours:
    """All benchmarks' problems as vectors: the nearest of each is a candidate for a model's eyes, no verdict."""

    def __init__(self, config: Nearest, asked: Sequence[Problem]) -> None:
        self._config, self._asked = config, asked
        statements = [problem.statement for problem in asked]
        self._vectors = config.similarity.fitted(statements)
        self._held = self._vectors(statements)
        self._benchmarks: dict[str, list[int]] = defaultdict(list)
        for place, problem in enumerate(asked):
            self._benchmarks[problem.source].append(place)

    def of(self, statements: Sequence[str]) -> Iterator[list[Match]]:
        """For each statement the nearest problem of each benchmark, where it is near enough; of equals the first."""
        for row in cosines(self._vectors(statements), self._held):
            matches = []
            for benchmark, places in self._benchmarks.items():
                best = places[int(row[places].argmax())]
                if row[best] >= self._config.min_similarity:
                    matches.append(Match(benchmark, f"cosine {row[best]:.2f}", self._asked[best].id))
            yield matches


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

    async def read(engine: Engine, pair: Pair) -> Verdict:
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
