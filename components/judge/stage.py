"""The stage: for each problem on which the candidates disagree, several readings with draws of their own."""

import asyncio
import itertools
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out
from components.core.types import Candidate, Judgement, Message, Problem
from components.judge.drawing import clusters, draw
from components.lib import genselect
from components.lib.engine.callers import start
from components.lib.engine.config import Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine, Sampling

log = logging.getLogger(__name__)


class Judge(Config, section="judge"):
    """How candidates are read."""

    seed: int
    prompt: str
    """The prompt file's name."""
    engine: str
    engine_by_format: dict[str, str]
    readings: int
    """Per problem, each with its own draw and order (the paper: 64)."""
    max_shown: int
    """Candidates in one prompt (the paper: at most 16)."""
    max_tokens: int
    temperature: float
    questions_at_once: int


class Reading(NamedTuple):
    """A reading that is to be made."""

    problem: Problem
    number: int
    shown: Sequence[Candidate]
    seed: int


def judge(config: Judge, engines: Engines, *, candidates: In, problems: In, model: In, out: Out) -> Metrics:
    """Lets a model read and choose."""
    wanted, alone = _readings(config, candidates, problems)
    made = asyncio.run(_read(config, engines, model, wanted))
    rows.write(out, made, Judgement)
    golds = {problem.id: problem.answer for problem in rows.read(problems, Problem)}
    return {
        "problems_read": len({judgement.problem for judgement in made}),
        "problems_of_one_answer": alone,
        "readings": len(made),
        "unparsed": sum(judgement.parsed is None for judgement in made),
        "right": sum(judgement.answer == golds[judgement.problem] for judgement in made),
        "right_by_chance": sum(sum(c.answer == golds[r.problem.id] for c in r.shown) / len(r.shown) for r in wanted),
        "chosen_by_position": _positions(made),
    }


def _readings(config: Judge, candidates: Path, problems: Path) -> tuple[list[Reading], int]:
    """All readings to make, and how many problems need none since they have one answer."""
    known = {problem.id: problem for problem in rows.read(problems, Problem)}
    wanted, alone = [], 0
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in known:
            raise UserError(f"{candidates}: problem '{name}' is not in {problems}; `dvc repro` sits the problems that are there now")
        groups = clusters(list(group))
        alone += len(groups) == 1
        if len(groups) > 1:
            for index in range(config.readings):
                seed = random.Random(f"{config.seed}/{name}/{index}").getrandbits(62)
                wanted.append(Reading(known[name], index, draw(groups, config.max_shown, seed), seed))
    return wanted, alone


async def _read(config: Judge, engines: Engines, model: Path, wanted: Sequence[Reading]) -> list[Judgement]:
    if not wanted:
        return []
    engine = open_engine(kind_for(model, config.engine, config.engine_by_format), engines, model)
    at_once = config.questions_at_once * config.readings
    made: list[Judgement] = []
    async with engine:
        for begin in range(0, len(wanted), at_once):
            made += await _together(config, engine, wanted[begin : begin + at_once])
            log.info("%d of %d readings", len(made), len(wanted))
    return made


async def _together(config: Judge, engine: Engine, readings: Sequence[Reading]) -> list[Judgement]:
    async with asyncio.TaskGroup() as group:
        tasks = start(group, engine, [_one(config, engine, reading) for reading in readings])
    return [task.result() for task in tasks]


async def _one(config: Judge, engine: Engine, reading: Reading) -> Judgement:
    texts = [genselect.summary(candidate) or "" for candidate in reading.shown]
    asked = Message(role="user", content=genselect.ask(config.prompt, reading.problem.statement, texts), loss=False)
    sampling = Sampling(config.temperature, 1.0, 0, 0.0, config.max_tokens, ())
    key = f"{reading.problem.id}/judge/{reading.number}"
    verdict = await engine.complete(engine.render([asked]), sampling, key=key, seed=reading.seed)
    parsed = genselect.parse(verdict.text, len(reading.shown))
    position = random.Random(reading.seed).randrange(len(reading.shown)) if parsed is None else parsed
    chosen = reading.shown[position]
    return Judgement(
        problem=reading.problem.id,
        index=reading.number,
        shown=tuple(candidate.index for candidate in reading.shown),
        seed=reading.seed,
        text=verdict.text,
        parsed=parsed,
        chosen=chosen.index,
        answer=chosen.answer,
    )


def _positions(made: Sequence[Judgement]) -> dict[str, int]:
    """How often each place in the prompt was chosen: a judge that always takes the first has learnt nothing."""
    places = [judgement.parsed for judgement in made if judgement.parsed is not None]
    return {str(place): places.count(place) for place in sorted(set(places))}
