"""The stage: a run from its problems to its rows, sealed in the problems' order."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.machine import LOCAL
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Problem, QuestionRecord
from components.lib import model_contamination, prompts, references
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.solve import shards
from components.solve.exam_run import ExamRun, LoggedQuestion, QuestionLog, Solve, attempt_params

log = logging.getLogger(__name__)
ENDLESS_SHARE = 0.95
"""So many attempts that end by length, none by itself: no result. The rest may be out of time, or caught in repetition."""


def solve(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    *, problems: In, model: In, out: Out, questions: Out, work: Work,
) -> Metrics:  # fmt: skip
    """Asks a model every problem of a set and stores all its attempts."""
    wanted = config.plan.max_concurrency * config.max_concurrent_questions
    if wanted > capacity.max_sessions:
        raise UserError(
            f"{LOCAL}: sandbox.max_sessions is {capacity.max_sessions}, but {config.max_concurrent_questions} questions with up to "
            f"{config.plan.max_concurrency} attempts alive hold up to {wanted} sessions; raise it, or lower max_concurrent_questions"
        )
    for prompt in config.plan.prompts:
        prompts.path(prompt)
    shards.check(config.shards, config.time_budget)
    asked = list(rows.read(problems, Problem))
    model_contamination.refuse(references.resolve(model), asked, problems)
    run_shard = partial(_run, config, engines, sandbox, contest, hosts, capacity, model)
    kept = work / "questions.jsonl"
    done = asyncio.run(run_shard(asked, kept)) if config.shards == 1 else shards.run(config.shards, run_shard, asked, kept)
    logged = QuestionLog(kept, [problem.id for problem in asked])
    rows.write(questions, (question.record for question in logged), QuestionRecord)
    rows.write(out, (candidate for question in logged for candidate in question.candidates), Candidate)
    measured = _measure(asked, rows.read(questions, QuestionRecord), rows.read(out, Candidate))
    _refuse_endless(measured["finish_reason"], config, model)
    return {**done, **measured}


def _refuse_endless(ended: Mapping[str, int], config: Solve, model: Path) -> None:
    """An exam in which no attempt comes to an end says nothing about its model."""
    finished = sum(ended.values()) - ended.get("cancelled", 0)
    if not ended.get("stop") and ended.get("length", 0) >= ENDLESS_SHARE * max(1, finished):
        raise UserError(
            f"params.yaml: solve: {ended['length']} of {finished} attempts of {model} ended by length and none by itself. Either "
            f"max_tokens ({config.max_tokens}) is too small; or the model does not end its turn as its chat template does, because it was "
            "not trained to, or as generation_config.json lacks that token in eos_token_id. Take another model, or end attempts "
            "at their box (stop_conditions: [boxed])"
        )


async def _run(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    model: Path, asked: Sequence[Problem], kept: Path,
) -> Metrics:  # fmt: skip
    engine = open_engine(kind_for(model, config.engine, config.engine_by_format), engines, hosts, model)
    async with engine, open_sandbox(sandbox, capacity) as box:
        with rows.JsonlWriter(kept) as growing:
            params = attempt_params(config, contest, model)
            await ExamRun(config, params, engine, box, asked, growing).run(list(rows.read(kept, LoggedQuestion)))
        return {"engine": engine.name, "isolation": box.isolation}


def _measure(asked: Sequence[Problem], questions: Iterator[QuestionRecord], candidates: Iterator[Candidate]) -> Metrics:
    """Counts of what happened; accuracy per attempt is over those that finished."""
    stopped = Counter(question.stopped_by for question in questions if question.stopped_by)
    golds = {problem.id: problem.answer for problem in asked}
    ended, abstained, code_runs = Counter[str](), Counter[str](), Counter[str]()
    tokens = right = num = 0
    early = set[str]()
    for candidate in candidates:
        num += 1
        ended[candidate.finish_reason] += 1
        abstained.update([candidate.abstained] if candidate.abstained else [])
        code_runs.update(run.status for run in candidate.runs)
        tokens += candidate.num_tokens
        early.update([candidate.problem] if candidate.finish_reason == "cancelled" else [])
        right += candidate.answer is not None and candidate.answer == golds[candidate.problem]
    finished = num - ended["cancelled"]
    return {
        "problems": len(asked),
        "candidates": num,
        "finished": finished,
        "attempt_accuracy": right / finished if finished else 0.0,
        "questions_stopped_early": len(early),
        "stopped_by": stopped,
        "tokens": tokens,
        "finish_reason": ended,
        "abstained": abstained,
        "code_runs": code_runs,
    }
