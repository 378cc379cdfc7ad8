"""A set of problems that one machine is too small for: shards of it, each run on a machine of its own, as tasks of a Ray cluster.

A shard is every n-th problem, with an engine, a sandbox pool and a clock of its own. Only evaluation at scale is cut so, for an exam that
is run against one clock cannot be: clocks that look at earlier questions are refused, and `exam_s` holds for each shard. A shard's
rows come back when it is done and go to the growing file at once: a killed run goes on with the shards that are missing, and a shard
whose worker dies is run again by another one, so that nothing is lost and nothing is there twice. Rows are those of a run in one
piece wherever the engine answers a question alike whatever is asked beside it.

Which cluster: components/core/ray_cluster.py. Memory: the rows of one shard.
"""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.core import ray_cluster, rows
from components.core.errors import UserError
from components.core.runner import Metrics
from components.core.types import Problem
from components.lib.engine.protocol import EngineError
from components.lib.rules.time_budget import Fixed, TimeBudget, Tokens
from components.solve.exam_run import LoggedQuestion

log = logging.getLogger(__name__)

RunShard = Callable[[Sequence[Problem], Path], Coroutine[None, None, Metrics]]
"""Runs these problems, but for those that the growing file already holds."""


class ShardResult(NamedTuple):
    """A shard that is done."""

    measured: Metrics
    logged: list[LoggedQuestion]
    """In the order in which they ended; without what it was given."""


def check(num: int, time_budget: TimeBudget) -> None:
    """Raises UserError where so many shards cannot be."""
    if num > 1 and not isinstance(time_budget, Fixed | Tokens):
        raise UserError(
            f"params.yaml: solve: time_budget {time_budget.kind} gives a question what others left, which {num} shards do not know; "
            "write shards: 1, or a time budget that looks at no other question: fixed, tokens"
        )
    if num > 1:
        ray_cluster.installed()


def run(num: int, run_shard: RunShard, asked: Sequence[Problem], kept: Path) -> Metrics:
    """Runs all problems in `num` shards; their rows go to the growing file `kept`."""
    places = {problem.id: place for place, problem in enumerate(asked)}
    with rows.JsonlWriter(kept) as growing, ray_cluster.cluster() as ray:
        done = {question.record.problem: question for question in rows.read(kept, LoggedQuestion)}
        shards = [asked[begin::num] for begin in range(num)]
        left = [shard for shard in shards if any(problem.id not in done for problem in shard)] or shards[:1]
        remote = ray.remote(max_retries=ray_cluster.RETRIES, **ray_cluster.machines(ray).options())(_run_shard)
        tasks = [remote.remote(run_shard, shard, [done[problem.id] for problem in shard if problem.id in done]) for shard in left]
        measured = []
        for shard in _as_completed(ray, tasks):
            for question in shard.logged:
                place = places[question.record.problem]  # in the whole exam, not in the shard
                growing.append(question.model_copy(update={"record": question.record.model_copy(update={"place": place})}))
            measured.append(shard.measured)
            log.info("%d of %d shards", num - len(left) + len(measured), num)
    return {name: ", ".join(sorted({str(one[name]) for one in measured})) for name in measured[0]}


def _run_shard(run_shard: RunShard, asked: Sequence[Problem], logged: Sequence[LoggedQuestion]) -> ShardResult:
    """In the worker: one shard, from its first question to its last."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "questions.jsonl"
        with rows.JsonlWriter(kept) as growing:
            for question in logged:
                growing.append(question)
        measured = asyncio.run(run_shard(asked, kept))
        return ShardResult(measured, list(rows.read(kept, LoggedQuestion))[len(logged) :])


def _as_completed(ray: Any, tasks: Sequence[Any]) -> Iterator[ShardResult]:
    """What the shards bring; the first that fails for good ends all: its own error, or that its workers died."""
    left = list(tasks)
    while left:
        (ended,), left = ray.wait(left, num_returns=1)
        try:
            yield ray.get(ended)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise EngineError(f"ray: a shard failed {ray_cluster.RETRIES + 1} times with its worker; the last time: {error}") from error
