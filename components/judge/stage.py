"""The stage: for each problem on which the candidates disagree, judgements round by round as the plan draws them."""

import asyncio
import itertools
import logging
import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Judgement, Message, Problem
from components.judge.plans import Plan
from components.lib import genselect
from components.lib.answer_groups import group_by_answer
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine, Sampling

log = logging.getLogger(__name__)


class Judge(Config, section="judge"):
    """How candidates are read."""

    seed: int
    prompt: str
    """The prompt file's name."""
    engine: str | None
    """null: nobody is asked, and there are no judgements."""
    engine_by_format: dict[str, str]
    plan: Plan
    summary_chars: int = Field(ge=100)
    """Of each candidate's solution, at most (the paper: 5,000; later 16,384)."""
    max_tokens: int
    temperature: float
    num_concurrent: int = Field(ge=1)
    """Judgements side by side."""


class JudgementRequest(NamedTuple):
    """A judgement that is to be made."""

    problem: Problem
    number: int
    round: int
    shown: Sequence[Candidate]
    seed: int


class JudgedRequest(NamedTuple):
    """A judgement that was made."""

    request: JudgementRequest
    judgement: Judgement

    @property
    def chosen(self) -> Candidate:
        return next(candidate for candidate in self.request.shown if candidate.index == self.judgement.chosen)


Pools = Mapping[str, Sequence[Candidate]]
"""Readable candidates by problem, of those problems on which they disagree."""


def judge(config: Judge, engines: Engines, hosts: EngineHosts, *, candidates: In, problems: In, model: In, out: Out, work: Work) -> Metrics:
    """Lets a model read and choose; each judgement is kept, so that a killed run goes on."""
    known = {problem.id: problem for problem in rows.read(problems, Problem)}
    pools, alone = _pools(config, candidates, known, problems)
    made = asyncio.run(_read(config, config.engine, engines, hosts, model, known, pools, work)) if pools and config.engine else []
    rows.write(out, (read.judgement for read in made), Judgement)
    return {
        "problems_judged": len({judgement.problem for _, judgement in made}),
        "problems_unanimous": alone,
        "judgements": len(made),
        "rounds": max((judgement.round + 1 for _, judgement in made), default=0),
        "unparsed": sum(judgement.parsed is None for _, judgement in made),
        "correct": sum(judgement.answer == request.problem.answer for request, judgement in made),
        "correct_by_chance": sum(sum(c.answer == r.problem.answer for c in r.shown) / len(r.shown) for r, _ in made),
        "chosen_by_position": _positions([judgement for _, judgement in made]),
    }


def _pools(config: Judge, candidates: Path, known: Mapping[str, Problem], problems: Path) -> tuple[Pools, int]:
    """What there is to read, and how many problems need no judgement since their candidates have one answer."""
    pools, alone = {}, 0
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in known:
            raise UserError(f"{candidates}: problem '{name}' is not in {problems}; `dvc repro` runs the problems that are there now")
        readable = [candidate for candidate in group if genselect.summary(candidate, config.summary_chars)]
        num = len(group_by_answer(readable))
        alone += num == 1
        if num > 1:
            pools[name] = readable
    return pools, alone


async def _read(
    config: Judge, usual: str, engines: Engines, hosts: EngineHosts, model: Path, known: Mapping[str, Problem], pools: Pools, work: Path
) -> list[JudgedRequest]:
    """All judgements, problem by problem in the order of the pools."""
    made: dict[str, list[JudgedRequest]] = {name: [] for name in pools}
    async with open_engine(kind_for(model, usual, config.engine_by_format), engines, hosts, model) as engine:
        for round in itertools.count():
            draws = {name: config.plan.draw(pool, round, f"{config.seed}/{name}") for name, pool in pools.items()}
            wanted = [
                JudgementRequest(known[name], len(made[name]) + place, round, shown.candidates, shown.seed)
                for name, draw in draws.items()
                for place, shown in enumerate(draw.windows)
            ]
            left = {name: draw.byes for name, draw in draws.items() if draw.windows or draw.byes}
            if not left:
                break
            for read in await _together(config, engine, wanted, work / f"round-{round}.jsonl"):
                made[read.request.problem.id].append(read)
                left[read.request.problem.id].append(read.chosen)
            log.info("round %d: %d judgements", round, len(wanted))
            pools = left
    return [read for reads in made.values() for read in reads]


async def _together(config: Judge, engine: Engine, wanted: Sequence[JudgementRequest], kept: Path) -> list[JudgedRequest]:
    await map_resumable(engine, wanted, partial(_one, config), Judgement, kept, config.num_concurrent)
    return [JudgedRequest(request, judgement) for request, judgement in zip(wanted, rows.read(kept, Judgement), strict=True)]


async def _one(config: Judge, engine: Engine, request: JudgementRequest) -> Judgement:
    texts = [genselect.summary(candidate, config.summary_chars) or "" for candidate in request.shown]
    asked = Message(role="user", content=genselect.ask(config.prompt, request.problem.statement, texts), loss=False)
    sampling = Sampling(config.temperature, 1.0, 0, 0.0, config.max_tokens, ())
    key = f"{request.problem.id}/judge/{request.number}"
    verdict = await engine.complete(engine.render([asked]), sampling, key=key, seed=request.seed)
    parsed = genselect.parse(verdict.text, len(request.shown))
    position = _lot(request) if parsed is None else parsed
    chosen = request.shown[position]
    return Judgement(
        problem=request.problem.id,
        index=request.number,
        round=request.round,
        shown=tuple(candidate.index for candidate in request.shown),
        seed=request.seed,
        text=verdict.text,
        parsed=parsed,
        chosen=chosen.index,
        answer=chosen.answer,
    )


def _lot(request: JudgementRequest) -> int:
    """The place that stands in for a verdict that names none."""
    return random.Random(f"{request.seed}/lot").randrange(len(request.shown))


def _positions(made: Sequence[Judgement]) -> dict[str, int]:
    """How often each place in the prompt was chosen: a judge that always takes the first has learnt nothing."""
    places = [judgement.parsed for judgement in made if judgement.parsed is not None]
    return {str(place): places.count(place) for place in sorted(set(places))}
