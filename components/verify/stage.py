"""The stage: for each problem on which candidates disagree, checks of its leading answers."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Check, Message, Problem, Row
from components.lib import genselect, prompts
from components.lib.answer_groups import finished, group_by_answer
from components.lib.answers import Contest
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.engine.protocol import Engine, Sampling
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.verify.checks import model_check, rerun
from components.verify.constraints import check_constraints


class Verify(Config, section="verify"):
    """What is checked and how a model is asked."""

    seed: int
    top: int = Field(ge=1)
    """Answers of a problem that are checked, those with most votes first."""
    reruns: int = Field(ge=0)
    """Candidates per answer whose last program is run again, those that finished first."""
    model_samples: int = Field(ge=0)
    """Replies of the model on one candidate per answer; 0: no model is asked."""
    prompt: str
    """The prompt file's name."""
    engine: str
    engine_by_format: dict[str, str]
    summary_chars: int = Field(ge=100)
    """Of the solution that the model sees, at most."""
    max_tokens: int
    temperature: float
    num_concurrent: int = Field(ge=1)
    """Candidates side by side that a model is asked about."""


class Disputed(NamedTuple):
    """A problem on which candidates disagree, with the supporters of each answer that is checked."""

    problem: Problem
    supporters: list[list[Candidate]]


class Sample(NamedTuple):
    """One reply that the model is asked for."""

    problem: Problem
    candidate: Candidate
    number: int


class Reply(Row):
    """What came, as one line of the growing file."""

    text: str


def verify(
    config: Verify, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    *, candidates: In, problems: In, model: In, out: Out, work: Work,
) -> Metrics:  # fmt: skip
    """Checks answers against the statement, by their own programs, and (where model_samples is not 0) by a model."""
    disputed = _disputed(config, candidates, problems)
    checks = [
        *_constraints(disputed, contest),
        *asyncio.run(_reruns(config, sandbox, capacity, contest, disputed)),
        *asyncio.run(_model_checks(config, engines, hosts, model, disputed, work / "replies.jsonl")),
    ]
    order = {one.problem.id: place for place, one in enumerate(disputed)}
    rows.write(out, sorted(checks, key=lambda check: order[check.problem]), Check)
    return {"problems": len(disputed), **_measure(disputed, checks)}


def _disputed(config: Verify, candidates: Path, problems: Path) -> list[Disputed]:
    known = {problem.id: problem for problem in rows.read(problems, Problem)}
    found = []
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in known:
            raise UserError(f"{candidates}: problem '{name}' is not in {problems}; `dvc repro` runs the problems that are there now")
        supporters = list(group_by_answer(finished(group)).values())
        if len(supporters) > 1:
            found.append(Disputed(known[name], supporters[: config.top]))
    return found


def _constraints(disputed: Iterable[Disputed], contest: Contest) -> list[Check]:
    """One check per answer, under the name of the first candidate behind it."""
    made = []
    for problem, supporters in disputed:
        for first in (behind[0] for behind in supporters):
            assert first.answer is not None, "supporters have an answer"
            score, detail = check_constraints(problem.statement, first.answer, contest)
            made.append(Check(problem=problem.id, candidate=first.index, kind="constraint", score=score, detail=detail))
    return made


async def _reruns(
    config: Verify, sandbox: SandboxConfig, capacity: SandboxCapacity, contest: Contest, disputed: Iterable[Disputed]
) -> list[Check]:
    """The first candidates behind each answer that ran code."""
    ran = ([candidate for candidate in behind if candidate.runs] for one in disputed for behind in one.supporters)
    wanted = [candidate for behind in ran for candidate in behind[: config.reruns]]
    if not wanted:
        return []
    async with open_sandbox(sandbox, capacity) as box, asyncio.TaskGroup() as group:
        tasks = [group.create_task(rerun(candidate, box, contest, _seed(config, candidate, "rerun"))) for candidate in wanted]
    return [task.result() for task in tasks]


async def _model_checks(
    config: Verify, engines: Engines, hosts: EngineHosts, model: Path, disputed: Iterable[Disputed], kept: Path
) -> list[Check]:
    """One check per answer: of the first candidate behind it that a reader can follow."""
    readable = [(one.problem, candidate) for one in disputed for candidate in _shown(config, one)]
    if not (config.model_samples and readable):
        return []
    asked = [Sample(problem, candidate, number) for problem, candidate in readable for number in range(config.model_samples)]
    async with open_engine(kind_for(model, config.engine, config.engine_by_format), engines, hosts, model) as engine:
        num_concurrent = config.num_concurrent * config.model_samples
        await map_resumable(engine, asked, partial(_ask, config), Reply, kept, num_concurrent)
    replies = (reply.text for reply in rows.read(kept, Reply))
    return [model_check(candidate, list(itertools.islice(replies, config.model_samples))) for _, candidate in readable]


def _shown(config: Verify, one: Disputed) -> list[Candidate]:
    readable = [[candidate for candidate in behind if genselect.summary(candidate, config.summary_chars)] for behind in one.supporters]
    return [behind[0] for behind in readable if behind]


async def _ask(config: Verify, engine: Engine, asked: Sample) -> Reply:
    problem, candidate, number = asked
    solution = genselect.summary(candidate, config.summary_chars) or ""
    content = prompts.render(config.prompt, statement=problem.statement, solution=solution)
    prompt = engine.render([Message(role="user", content=content, loss=False)])
    sampling = Sampling(config.temperature, 1.0, 0, 0.0, config.max_tokens, ())
    key = f"{problem.id}/verify/{candidate.index}/{number}"
    return Reply(text=(await engine.complete(prompt, sampling, key=key, seed=_seed(config, candidate, str(number)))).text)


def _seed(config: Verify, candidate: Candidate, what: str) -> int:
    return random.Random(f"{config.seed}/{candidate.problem}/{candidate.index}/{what}").getrandbits(62)


def _measure(disputed: Iterable[Disputed], checks: Sequence[Check]) -> Metrics:
    """Per kind: how many checks hold, fail or cannot say, and the mean score of right and of wrong answers."""
    golds = {one.problem.id: one.problem.answer for one in disputed}
    answered = {(c.problem, c.index): c.answer for one in disputed for behind in one.supporters for c in behind}
    measured: Metrics = {}
    for kind in dict.fromkeys(check.kind for check in checks):
        scores: dict[bool, list[float]] = {True: [], False: []}
        told = Counter[str](passed=0, failed=0, partial=0, undecided=0)
        for check in (check for check in checks if check.kind == kind):
            told["undecided" if check.score is None else {1.0: "passed", 0.0: "failed"}.get(check.score, "partial")] += 1
            if check.score is not None:
                scores[answered[check.problem, check.candidate] == golds[check.problem]].append(check.score)
        means = {
            name: sum(found) / len(found) if found else None for name, found in (("correct", scores[True]), ("incorrect", scores[False]))
        }
        measured[kind] = {**told, "mean_score": means}
    return measured
