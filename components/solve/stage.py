"""The stage: a whole sitting, question by question, kept as it goes and sealed in the problems' order.

A sitting is cut into sheets. On an engine whose time is counted in steps a sheet is `questions_at_once` problems, and the next one
begins when all of it is done, so that batches, and with them the bytes, never depend on how fast anything ran or on where a
killed run stopped. On the wall clock the sitting is one sheet, and a question begins as soon as another ends.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config, Settings
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Problem, Row
from components.lib import tool_syntax
from components.lib.answers import Contest
from components.lib.engine.config import Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.lib.sandbox.local import SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox
from components.solve.question import Rules, question
from components.solve.stopping import Stop

log = logging.getLogger(__name__)


class Clock(Settings):
    """Seconds on the engine's clock."""

    question_s: float
    """For one question."""
    sitting_s: float
    """For the whole paper: a question that would begin later gets no attempt."""


class Solve(Config, section="solve", keyed=True):
    """How a sitting asks."""

    seed: int
    engine: str
    engine_by_format: dict[str, str]
    """Another engine for a quantized model: {fp8: server}."""
    model: str | None
    """Named only where dvc.yaml takes the model's path from here (teacher)."""
    plan: dict[str, int]
    """Candidates per prompt: {cot: 7, tir: 8}."""
    max_executions: int
    max_tokens: int
    """Generated tokens of one attempt."""
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    questions_at_once: int
    stop: Stop
    clock: Clock


class Sat(Row):
    """A finished question, as one line of the growing file; `elapsed` is the sitting's clock when it was handed in."""

    problem: str
    candidates: tuple[Candidate, ...]
    elapsed: float


def solve(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, *, problems: In, model: In, out: Out, work: Work
) -> Metrics:
    """Asks a model every problem of a set and stores all its attempts."""
    wanted = sum(config.plan.values()) * config.questions_at_once
    if wanted > sandbox.sessions:
        raise UserError(
            f"params.yaml: sandbox.sessions is {sandbox.sessions}, but {config.questions_at_once} questions at once with "
            f"{sum(config.plan.values())} candidates each hold up to {wanted} sessions; raise it, or lower solve's questions_at_once"
        )
    asked = list(rows.read(problems, Problem))
    done = asyncio.run(_sit(config, engines, sandbox, contest, asked, model, work / "sat.jsonl"))
    rows.write(out, _sealed(work / "sat.jsonl", asked), Candidate)
    return {**done, **_measure(asked, rows.read(out, Candidate))}


async def _sit(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, asked: Sequence[Problem], model: Path, kept: Path
) -> Metrics:
    sampling = Sampling(config.temperature, config.top_p, config.top_k, config.min_p, config.max_tokens, (tool_syntax.END,))
    rules = Rules(config.plan, sampling, config.max_executions, config.stop, contest, config.seed)
    engine = open_engine(kind_for(model, config.engine, config.engine_by_format), engines, model)
    async with engine, open_sandbox(sandbox) as box:
        with rows.Growing(kept) as growing:
            await _sheets(config, rules, engine, box, asked, kept, growing)
        return {"engine": engine.name, "isolation": box.isolation}


async def _sheets(
    config: Solve, rules: Rules, engine: Engine, box: Sandbox, asked: Sequence[Problem], kept: Path, growing: rows.Growing
) -> None:
    done = {sat.problem: sat.elapsed for sat in rows.read(kept, Sat)}
    size = config.questions_at_once if engine.step_s else len(asked)
    elapsed = 0.0
    for begin in range(0, len(asked), max(1, size)):
        sheet = asked[begin : begin + size]
        if engine.step_s and not all(problem.id in done for problem in sheet):
            left = sheet  # a sheet is sat whole, or its batches would differ
        else:
            left = [problem for problem in sheet if problem.id not in done]
            elapsed = max([elapsed, *(done[problem.id] for problem in sheet if problem.id in done)])
        if left:
            elapsed = await _sheet(config, rules, engine, box, left, growing, elapsed)
            log.info("%d of %d questions, %.0f s on the sitting's clock", begin + len(sheet), len(asked), elapsed)


async def _sheet(
    config: Solve, rules: Rules, engine: Engine, box: Sandbox, sheet: Sequence[Problem], growing: rows.Growing, elapsed: float
) -> float:
    """Sits these questions and returns the sitting's clock at the end."""
    desk, opened = asyncio.Semaphore(config.questions_at_once), engine.now()

    async def sit(problem: Problem) -> None:
        async with desk:
            now = elapsed + engine.now() - opened
            limit = min(config.clock.question_s, config.clock.sitting_s - now)
            candidates = await question(problem, rules, engine, box, limit) if limit > 0 else ()
            growing.append(Sat(problem=problem.id, candidates=candidates, elapsed=round(elapsed + engine.now() - opened, 3)))

    async with asyncio.TaskGroup() as group:
        for problem in sheet:
            group.create_task(sit(problem))
    return round(elapsed + engine.now() - opened, 3)


def _sealed(kept: Path, asked: Sequence[Problem]) -> Iterator[Candidate]:
    """Every candidate in the problems' order; where a sheet was sat twice (a run was killed), the later sitting counts."""
    where = {}
    with kept.open("rb") as lines:
        at = 0
        for line in lines:
            where[Sat.model_validate_json(line).problem] = at
            at += len(line)
        for problem in asked:
            lines.seek(where[problem.id])
            yield from Sat.model_validate_json(lines.readline()).candidates


def _measure(asked: Sequence[Problem], candidates: Iterator[Candidate]) -> Metrics:
    """Counts of what happened; accuracy per attempt is over those that finished."""
    golds = {problem.id: problem.answer for problem in asked}
    ended, abstained, cells = Counter[str](), Counter[str](), Counter[str]()
    tokens = right = num = 0
    stopped = set()
    for candidate in candidates:
        num += 1
        ended[candidate.ended] += 1
        abstained.update([candidate.abstained] if candidate.abstained else [])
        cells.update(run.status for run in candidate.runs)
        tokens += candidate.num_tokens
        right += candidate.answer is not None and candidate.answer == golds[candidate.problem]
        stopped.update([candidate.problem] if candidate.ended == "cancelled" else [])
    finished = num - ended["cancelled"]
    return {
        "problems": len(asked),
        "candidates": num,
        "finished": finished,
        "right_per_finished": right / finished if finished else 0.0,
        "questions_stopped_early": len(stopped),
        "tokens": tokens,
        "ended": ended,
        "abstained": abstained,
        "cells": cells,
    }
