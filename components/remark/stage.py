"""The stage: what a model says of the attempts, before sets are made of them; each reply is kept, so that a killed run goes on.

Reads problems and attempts, writes replies as they came, in the problems' order: what follows from them is compose's to say. Where no
engine is named nobody is asked, and the file holds no rows.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from components.core import alongside, rows
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Message, Problem, Remark
from components.lib.answers import Contest
from components.lib.engine.callers import resumed
from components.lib.engine.config import Engines, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.remark.requests import Request, Wanted, requests


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
    temperature: float
    """Of summaries and votes; a judgement is greedy."""
    max_tokens: int = Field(ge=1)
    """Of one reply."""
    at_once: int = Field(ge=1)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.judgements, self.summaries, self.votes)


def remark(config: Remarks, engines: Engines, contest: Contest, *, candidates: In, problems: In, out: Out, work: Work) -> Metrics:
    """Asks a model about the attempts of one pool: judgements, summaries, and what each code block was worth."""
    kept, name = work / "remarks.jsonl", None
    if config.engine is not None:
        engine = open_engine(config.engine, engines, Path(config.model))
        asyncio.run(ask_all(config, engine, _requests(config, contest, problems, candidates), kept))
        name = engine.name
    asked, tokens = Counter[str](), 0

    def said() -> Iterator[Remark]:
        nonlocal tokens
        for row in rows.read(kept, Remark) if name else ():
            asked[row.about] += 1
            tokens += row.num_tokens
            yield row

    rows.write(out, said(), Remark)
    return {"engine": name, "replies": dict(asked), "tokens": tokens}


async def ask_all(config: Remarks, engine: Engine, wanted: Iterator[Request], kept: Path) -> None:
    """Appends one reply per request to `kept`, in their order, from where it stands."""

    async def ask(request: Request) -> Remark:
        prompt = engine.render([Message(role="user", content=request.content, loss=False)])
        heat = 0.0 if request.about == "judgement" else config.temperature
        seed = random.Random(f"{config.seed}/{request.key}").getrandbits(62)
        reply = await engine.complete(prompt, Sampling(heat, 1.0, 0, 0.0, config.max_tokens, ()), key=request.key, seed=seed)
        return Remark(
            problem=request.problem,
            candidate=request.candidate,
            about=request.about,
            block=request.block,
            text=reply.text,
            num_tokens=reply.num_tokens,
        )

    await resumed(engine, wanted, ask, Remark, kept, config.at_once)


def _requests(config: Remarks, contest: Contest, problems: Path, candidates: Path) -> Iterator[Request]:
    tried = alongside.Alongside(rows.read(candidates, Candidate), candidates)
    for problem in rows.read(problems, Problem):
        yield from requests(problem, tried.of(problem.id), contest, config.wanted)
    tried.check_done(problems)
