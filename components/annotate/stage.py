"""The stage: what a model says of the attempts, before sets are made of them; each reply is kept, so that a killed run goes on.

Reads problems and attempts, writes replies as they came, in the problems' order: what follows from them is compose's to say. Where no
engine is named nobody is asked, and the file holds no rows.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.annotate.requests import Comparisons, Request, RequestCounts, followup_requests, requests
from components.core import joined, rows
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Annotation, Message
from components.lib.answers import Contest
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.config import EngineHosts, Engines, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.lib.engine.shards import ShardedEngine
from components.lib.tool_translation import in_openmath


class Annotate(Config, section="annotate", keyed=True):
    """Who is asked, and how often."""

    seed: int
    engine: str | None
    """null: nobody."""
    model: str
    """What answers: a file of recorded replies, a model's folder or name."""
    judgements: int = Field(ge=0, le=1)
    """Whether an answer that is no integer is held against the known one."""
    summaries: int = Field(ge=0)
    """Of each solution without code (NVIDIA: 4)."""
    votes: int = Field(ge=0)
    """On each code block, of either sort (NVIDIA: 8)."""
    comparisons: Comparisons | None
    """Whether candidates of one problem are compared, for GenSelect's training texts."""
    temperature: float
    """Of all but judgements, which are greedy."""
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    num_concurrent: int = Field(ge=1)
    shards: int = Field(ge=1)
    """Machines that have an engine each (components/lib/engine/shards.py)."""

    @property
    def request_counts(self) -> RequestCounts:
        return RequestCounts(self.judgements, self.summaries, self.votes, self.comparisons, self.seed)


class Pool(NamedTuple):
    """Attempts and their problems, and what was said of them so far."""

    problems: Path
    candidates: Path
    replies: Path
    """Replies about attempts."""
    followups: Path
    """Replies about those replies."""


def annotate(
    config: Annotate, engines: Engines, contest: Contest, hosts: EngineHosts, *, candidates: In, problems: In, out: Out, work: Work
) -> Metrics:
    """Asks a model about the attempts of one pool: judgements, summaries, what each code block was worth, which attempt is right."""
    if config.engine is None:
        rows.write(out, (), Annotation)
        return {"engine": None, "replies": {}, "tokens": 0}
    pool = Pool(problems, candidates, work / "replies.jsonl", work / "followups.jsonl")
    opened = partial(open_engine, config.engine, engines, hosts, Path(config.model))
    engine = opened() if config.shards == 1 else ShardedEngine(config.shards, opened)
    asyncio.run(annotate_pool(config, engine, contest, pool))
    asked, tokens = Counter[str](), 0

    def said() -> Iterator[Annotation]:
        nonlocal tokens
        for _, _, replies in joined.read(*pool):
            for row in replies:
                asked[row.kind] += 1
                tokens += row.num_tokens
                yield row

    rows.write(out, said(), Annotation)
    return {"engine": engine.name, "replies": dict(asked), "tokens": tokens}


async def annotate_pool(config: Annotate, engine: Engine | ShardedEngine, contest: Contest, pool: Pool) -> None:
    """Appends one reply per request to the pool's two growing files, in order, from where they stand."""
    pool.followups.touch()  # it stays empty where nothing is compared
    read = joined.read(pool.problems, pool.candidates)
    about = (request for problem, tried, _ in read for request in requests(problem, in_openmath(tried), contest, config.request_counts))
    async with engine:
        await _ask_all(config, engine, about, pool.replies)
        if comparisons := config.comparisons:
            read = joined.read(pool.problems, pool.candidates, pool.replies)
            again = (
                request for problem, tried, said in read for request in followup_requests(problem, in_openmath(tried), said, comparisons)
            )
            await _ask_all(config, engine, again, pool.followups)


async def _ask_all(config: Annotate, engine: Engine | ShardedEngine, wanted: Iterator[Request], kept: Path) -> None:
    await map_resumable(engine, wanted, partial(_ask, config), Annotation, kept, config.num_concurrent)


async def _ask(config: Annotate, engine: Engine, request: Request) -> Annotation:
    prompt = engine.render([Message(role="user", content=request.content, loss=False)])
    heat = 0.0 if request.kind == "judgement" else config.temperature
    seed = random.Random(f"{config.seed}/{request.key}").getrandbits(62)
    reply = await engine.complete(prompt, Sampling(heat, 1.0, 0, 0.0, config.max_tokens, ()), key=request.key, seed=seed)
    about = {"problem": request.problem, "shown": request.shown, "kind": request.kind, "part": request.part}
    return Annotation.model_validate(about | {"text": reply.text, "num_tokens": reply.num_tokens})
