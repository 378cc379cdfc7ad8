"""The stage: a run from its problems to its rows, sealed in the problems' order."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from components.core import hardware, preflight, rows
from components.core.errors import UserError
from components.core.fingerprint import Codebase
from components.core.runner import HOME, In, Metrics, Out, Work, content_digest
from components.core.types import Candidate, Problem, QuestionRecord
from components.lib import model_contamination, model_folder, prompts, references
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines, kind_for, open_engine
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.solve import shards
from components.solve.attempt_log import AttemptLog
from components.solve.exam_run import ExamRun, QuestionLog, Solve, attempt_params
from components.solve.preflight import Run, fits, needs

log = logging.getLogger(__name__)
ENDLESS_SHARE = 0.95
"""So many attempts that end by length, none by itself: no result. The rest may be out of time, or caught in repetition."""


def solve(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    *, problems: In, model: In, out: Out, questions: Out, work: Work,
) -> Metrics:  # fmt: skip
    """Asks a model every problem of a set and stores all its attempts."""
    for prompt in config.plan.prompts:
        prompts.path(prompt)  # watched from here on
    shards.check(config.shards, config.time_budget)
    asked = list(rows.read(problems, Problem))
    config.time_budget.check(len(asked))
    model_contamination.refuse(references.resolve(model), asked, problems)
    kind = kind_for(model, config.engine, config.engine_by_format)
    run = Run(config, engines, hosts, sandbox, capacity, kind, model_folder.made(model), problems)
    preflight.refuse([*needs(run), *fits(run, hardware.gpus())])
    run_shard = partial(_run, config, engines, sandbox, contest, hosts, capacity, model)
    kept = work / "questions.jsonl"
    done = asyncio.run(run_shard(asked, kept)) if config.shards == 1 else shards.run(config.shards, run_shard, asked, kept)
    logged = QuestionLog(kept, [problem.id for problem in asked])
    rows.write(questions, (question.record for question in logged), QuestionRecord)
    rows.write(out, (candidate for question in logged for candidate in question.candidates), Candidate)
    measured = _measure(asked, rows.read(questions, QuestionRecord), rows.read(out, Candidate))
    _refuse_endless(measured["finish_reason"], config, model)
    _say_cut_off(measured)
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


def _say_cut_off(measured: Metrics) -> None:
    """What the clock took away is never silent."""
    unasked, cut = measured["questions_unasked"], measured["finish_reason"].get("time", 0)
    if unasked or cut:
        log.warning(
            "the clock (time_budget) left %d of %d questions without an attempt and cut %d attempts off", unasked, measured["problems"], cut
        )


async def _run(
    config: Solve, engines: Engines, sandbox: SandboxConfig, contest: Contest, hosts: EngineHosts, capacity: SandboxCapacity,
    model: Path, asked: Sequence[Problem], kept: Path,
) -> Metrics:  # fmt: skip
    kind = kind_for(model, config.engine, config.engine_by_format)
    engine = open_engine(kind, engines, hosts, model)
    log = _attempts_path(config, kind, engines, sandbox, contest, model, kept.parent)
    async with engine, open_sandbox(sandbox, capacity) as box:
        with rows.JsonlWriter(kept) as growing, AttemptLog(log) if engine.step_s is None else nullcontext() as attempts:
            params = attempt_params(config, contest, model)
            run = ExamRun(config, params, engine, box, asked, growing, attempts)
            await run.run(QuestionLog(kept, [problem.id for problem in asked]).timings)
        return {"engine": engine.name, "isolation": box.isolation}


def _attempts_path(config: Solve, kind: str, engines: Engines, sandbox: SandboxConfig, contest: Contest, model: Path, work: Path) -> Path:
    """Where finished attempts are kept: beside the run's questions, for this run alone; where they are independent, under a name made of
    all that one depends on, so that a run that wants more makes only those.
    """
    if not config.independent:
        return work / "attempts.jsonl"
    beside = {"engine", "engine_by_format", "model", "prompts", "shards", "max_concurrent_questions"}
    beside |= {"plan", "early_stopping", "time_budget"}
    settings = [one.model_dump(mode="json") for one in (getattr(engines, kind), sandbox, contest)]
    given = [Codebase().fingerprint("solve").value, content_digest(model), kind, config.model_dump(mode="json", exclude=beside), settings]
    return HOME / "attempts" / f"{hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]}.jsonl"


def _measure(asked: Sequence[Problem], questions: Iterator[QuestionRecord], candidates: Iterator[Candidate]) -> Metrics:
    """Counts of what happened; accuracy per attempt is over those that finished.

    Duplicates: attempts that ended in the very text of another one at their problem. Unasked: no time was left for an attempt.
    """
    stopped, unasked = Counter[str](), 0
    for question in questions:
        stopped.update([question.stopped_by] if question.stopped_by else [])
        unasked += question.limit_s <= 0
    golds = {problem.id: problem.answer for problem in asked}
    ended, abstained, code_runs = Counter[str](), Counter[str](), Counter[str]()
    tokens = right = num = 0
    early, duplicates, of, texts = set[str](), 0, "", set[str]()
    for candidate in candidates:
        num += 1
        ended[candidate.finish_reason] += 1
        abstained.update([candidate.abstained] if candidate.abstained else [])
        code_runs.update(run.status for run in candidate.runs)
        tokens += candidate.num_tokens
        if candidate.problem != of:
            of, texts = candidate.problem, set()
        if candidate.finish_reason != "cancelled":
            duplicates += candidate.text in texts
            texts.add(candidate.text)
        early.update([candidate.problem] if candidate.finish_reason == "cancelled" else [])
        right += candidate.answer is not None and candidate.answer == golds[candidate.problem]
    finished = num - ended["cancelled"]
    return {
        "problems": len(asked),
        "candidates": num,
        "finished": finished,
        "attempt_accuracy": right / finished if finished else 0.0,
        "duplicates": duplicates,
        "questions_stopped_early": len(early),
        "questions_unasked": unasked,
        "stopped_by": stopped,
        "tokens": tokens,
        "finish_reason": ended,
        "abstained": abstained,
        "code_runs": code_runs,
    }
