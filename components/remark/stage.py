"""The stage: what a model says of the attempts, before sets are made of them; each reply is kept, so that a killed run goes on.

Reads problems and attempts, writes replies as they came, in the problems' order: what follows from them is compose's to say. Where no
engine is named nobody is asked, and the file holds no rows.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.core import alongside, rows
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Message, Remark
from components.lib.answers import Contest
from components.lib.engine.callers import resumed
from components.lib.engine.config import EngineHosts, Engines, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.remark.requests import Comparisons, Request, Wanted, further, requests


class Remarks(Config, section="remark", keyed=True):
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
    at_once: int = Field(ge=1)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.judgements, self.summaries, self.votes, self.comparisons, self.seed)


class Pool(NamedTuple):
    """Attempts and their problems, and what was said of them so far."""

    problems: Path
    candidates: Path
    first: Path
    """Replies about attempts."""
    second: Path
    """Replies about those replies."""


def remark(
    config: Remarks, engines: Engines, contest: Contest, hosts: EngineHosts, *, candidates: In, problems: In, out: Out, work: Work
) -> Metrics:
    """Asks a model about the attempts of one pool: judgements, summaries, what each code block was worth, which attempt is right."""
    if config.engine is None:
        rows.write(out, (), Remark)
        return {"engine": None, "replies": {}, "tokens": 0}
    pool = Pool(problems, candidates, work / "first.jsonl", work / "second.jsonl")
    engine = open_engine(config.engine, engines, hosts, Path(config.model))
    asyncio.run(ask_all(config, engine, contest, pool))
    asked, tokens = Counter[str](), 0

    def said() -> Iterator[Remark]:
        nonlocal tokens
        for _, _, replies in alongside.read(*pool):
            for row in replies:
                asked[row.about] += 1
                tokens += row.num_tokens
                yield row

    rows.write(out, said(), Remark)
    return {"engine": engine.name, "replies": dict(asked), "tokens": tokens}


async def ask_all(config: Remarks, engine: Engine, contest: Contest, pool: Pool) -> None:
    """Appends one reply per request to the pool's two growing files, in order, from where they stand."""
    pool.second.touch()  # it stays empty where nothing is compared
    read = alongside.read(pool.problems, pool.candidates)
    about = (request for problem, tried, _ in read for request in requests(problem, tried, contest, config.wanted))
    async with engine:
        await _ask(config, engine, about, pool.first)
        if comparisons := config.comparisons:
            read = alongside.read(pool.problems, pool.candidates, pool.first)
            again = (request for problem, tried, said in read for request in further(problem, tried, said, comparisons))
            await _ask(config, engine, again, pool.second)


async def _ask(config: Remarks, engine: Engine, wanted: Iterator[Request], kept: Path) -> None:
    async def ask(request: Request) -> Remark:
        prompt = engine.render([Message(role="user", content=request.content, loss=False)])
        heat = 0.0 if request.about == "judgement" else config.temperature
        seed = random.Random(f"{config.seed}/{request.key}").getrandbits(62)
        reply = await engine.complete(prompt, Sampling(heat, 1.0, 0, 0.0, config.max_tokens, ()), key=request.key, seed=seed)
        about = {"problem": request.problem, "shown": request.shown, "about": request.about, "part": request.part}
        return Remark.model_validate(about | {"text": reply.text, "num_tokens": reply.num_tokens})

    await resumed(engine, wanted, ask, Remark, kept, config.at_once)
