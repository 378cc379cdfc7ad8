"""The stage: a sitting from its problems to its rows, sealed in the problems' order."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.machine import OWN
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Problem, Sat
from components.lib import prompts, references, seen
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.solve import shards
from components.solve.sitting import Handed, Keeper, Sitting, Solve, manner

log = logging.getLogger(__name__)


def solve(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    *, problems: In, model: In, out: Out, questions: Out, work: Work,
) -> Metrics:  # fmt: skip
    """Asks a model every problem of a set and stores all its attempts."""
    wanted = config.plan.most * config.questions_at_once
    if wanted > capacity.sessions:
        raise UserError(
            f"{OWN}: sandbox.sessions is {capacity.sessions}, but {config.questions_at_once} questions at once with up to "
            f"{config.plan.most} attempts alive hold up to {wanted} sessions; raise it, or lower solve's questions_at_once"
        )
    for prompt in config.plan.prompts:
        prompts.path(prompt)
    shards.check(config.shards, config.clock)
    asked = list(rows.read(problems, Problem))
    seen.refuse(references.resolve(model), asked, problems)
    part = partial(_sit, config, engines, sandbox, contest, hosts, capacity, model)
    kept = work / "sat.jsonl"
    done = asyncio.run(part(asked, kept)) if config.shards == 1 else shards.sit(config.shards, part, asked, kept)
    handed = Keeper(kept, [problem.id for problem in asked])
    rows.write(questions, (question.sat for question in handed), Sat)
    rows.write(out, (candidate for question in handed for candidate in question.candidates), Candidate)
    return {**done, **_measure(asked, rows.read(questions, Sat), rows.read(out, Candidate))}


async def _sit(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    model: Path, asked: Sequence[Problem], kept: Path,
) -> Metrics:  # fmt: skip
    engine = open_engine(kind_for(model, config.engine, config.engine_by_format), engines, hosts, model)
    async with engine, open_sandbox(sandbox, capacity) as box:
        with rows.Growing(kept) as growing:
            await Sitting(config, manner(config, contest), engine, box, asked, growing).sit(list(rows.read(kept, Handed)))
        return {"engine": engine.name, "isolation": box.isolation}


def _measure(asked: Sequence[Problem], questions: Iterator[Sat], candidates: Iterator[Candidate]) -> Metrics:
    """Counts of what happened; accuracy per attempt is over those that finished."""
    stopped = Counter(question.stopped_by for question in questions if question.stopped_by)
    golds = {problem.id: problem.answer for problem in asked}
    ended, abstained, cells = Counter[str](), Counter[str](), Counter[str]()
    tokens = right = num = 0
    early = set[str]()
    for candidate in candidates:
        num += 1
        ended[candidate.ended] += 1
        abstained.update([candidate.abstained] if candidate.abstained else [])
        cells.update(run.status for run in candidate.runs)
        tokens += candidate.num_tokens
        early.update([candidate.problem] if candidate.ended == "cancelled" else [])
        right += candidate.answer is not None and candidate.answer == golds[candidate.problem]
    finished = num - ended["cancelled"]
    return {
        "problems": len(asked),
        "candidates": num,
        "finished": finished,
        "right_per_finished": right / finished if finished else 0.0,
        "questions_stopped_early": len(early),
        "stopped_by": stopped,
        "tokens": tokens,
        "ended": ended,
        "abstained": abstained,
        "cells": cells,
    }
