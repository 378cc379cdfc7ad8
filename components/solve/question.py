"""One question of a sitting: its attempts side by side, the stopping rule after each that finishes, cancellation of the rest."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from components.core.types import Candidate, Message, Problem
from components.lib.answers import Contest
from components.lib.engine.callers import start
from components.lib.engine.protocol import Engine, Sampling
from components.lib.prompts import render
from components.lib.sandbox.protocol import Sandbox
from components.solve.attempt import Attempt
from components.solve.stopping import Stop


class Rules(NamedTuple):
    """What holds for every question of a sitting."""

    plan: Mapping[str, int]
    """How many candidates per prompt, in the order in which they are indexed."""
    sampling: Sampling
    max_executions: int
    stop: Stop
    contest: Contest
    seed: int


async def question(problem: Problem, rules: Rules, engine: Engine, box: Sandbox, limit_s: float) -> tuple[Candidate, ...]:
    """All candidates of one problem, by index. `limit_s`: seconds on the engine's clock that this question may take."""
    opened = engine.now()
    attempts = [_attempt(problem, index, mode, rules, engine) for index, mode in enumerate(_modes(rules.plan))]
    finished: dict[int, Candidate] = {}
    tasks: list[asyncio.Task[None]] = []

    async def run(attempt: Attempt) -> None:
        await attempt.go(engine, box, rules.sampling, rules.max_executions, opened + limit_s)
        finished[attempt.index] = attempt.candidate(rules.contest, engine.now() - opened, len(finished), box.isolation)
        seen = [candidate.answer for candidate in finished.values()]
        if rules.stop.settled(seen, len(attempts) - len(seen)):
            for task in tasks:
                task.cancel()

    async with asyncio.TaskGroup() as group:
        tasks += start(group, engine, [run(attempt) for attempt in attempts])
    spent = engine.now() - opened
    return tuple(finished.get(a.index) or a.candidate(rules.contest, spent, None, box.isolation) for a in attempts)


def _attempt(problem: Problem, index: int, mode: str, rules: Rules, engine: Engine) -> Attempt:
    asked = Message(role="user", content=render(mode, statement=problem.statement), loss=False)
    return Attempt(problem, index, mode, engine.render([asked]), rules.seed)


def _modes(plan: Mapping[str, int]) -> list[str]:
    return [mode for mode, count in plan.items() for _ in range(count)]
