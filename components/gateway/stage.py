"""The command: `python -m components.gateway --problems test.csv --out runs/gateway --metrics result.json` examines a running server.

`run_exams` is the same exam for who has the server at hand (components/serve): a fresh line per run, the mean as the score.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from components.core.runner import In, Metrics, Out
from components.gateway.exam_run import Clock, ExamResult, Gateway, GatewayAddress, run_exam
from components.gateway.questions import question_order, read
from components.lib.answers import Contest
from components.lib.kaggle.client import Client, GrpcClient
from components.lib.kaggle.server import rerun

log = logging.getLogger(__name__)
OpenLine = Callable[[], AbstractContextManager[Client]]


def gateway(config: Gateway, contest: Contest, address: GatewayAddress, *, problems: In, out: Out) -> Metrics:
    """Examines the inference server at gateway.host and gateway.port."""
    host = "inference_server" if rerun() else address.host
    return run_exams(config, contest, problems, lambda: GrpcClient(host, address.port, config.startup_s), out)


def run_exams(config: Gateway, contest: Contest, problems: Path, line: OpenLine, out: Path, now: Clock = time.monotonic) -> Metrics:
    """All runs over one set of questions. The files lie in `out`, or in out/run-1, out/run-2, … where there are several."""
    questions = read(problems, contest)
    seed = (int.from_bytes(os.urandom(4), "big") if config.seed is None else config.seed) if config.shuffle else None
    done: list[ExamResult] = []
    for number in range(config.num_runs):
        folder = out / f"run-{number + 1}" if config.num_runs > 1 else out
        with line() as opened:
            done.append(run_exam(question_order(questions, None if seed is None else seed + number), config, contest, opened, folder, now))
        log.info("run %d: %s", number + 1, done[-1].failure or f"{done[-1].score} of {len(questions)} right")
    return {
        "problems": len(questions),
        "graded": sum(question.gold is not None for question in questions),
        "seed": seed,
        "scores": [run.score for run in done],
        "score": sum(run.score for run in done) / len(done),
        "failures": [run.failure.name.name if run.failure else None for run in done],
        "num_invalid": [sum(asked.answer is None for asked in run.questions) for run in done],
        "seconds": [run.seconds for run in done],
    }
