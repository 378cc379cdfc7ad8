"""The command: `python -m components.gateway --problems test.csv --out runs/gateway --metrics result.json` examines a running server.

`hold` is the same exam for who has the server at hand (components/serve): a fresh line per sitting, the mean as the score.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from components.core.runner import In, Metrics, Out
from components.gateway.paper import paper, read
from components.gateway.sitting import Clock, Gateway, GatewayAddress, Sitting, sit
from components.lib.answers import Contest
from components.lib.kaggle.line import Line, Wire
from components.lib.kaggle.server import rerun

log = logging.getLogger(__name__)
OpenLine = Callable[[], AbstractContextManager[Line]]


def gateway(config: Gateway, contest: Contest, address: GatewayAddress, *, problems: In, out: Out) -> Metrics:
    """Examines the inference server at gateway.host and gateway.port."""
    host = "inference_server" if rerun() else address.host
    return hold(config, contest, problems, lambda: Wire(host, address.port, config.startup_s), out)


def hold(config: Gateway, contest: Contest, problems: Path, line: OpenLine, out: Path, now: Clock = time.monotonic) -> Metrics:
    """All sittings over one paper. The files lie in `out`, or in out/sitting-1, out/sitting-2, … where there are several."""
    questions = read(problems, contest)
    seed = (int.from_bytes(os.urandom(4), "big") if config.seed is None else config.seed) if config.shuffle else None
    done: list[Sitting] = []
    for number in range(config.sittings):
        folder = out / f"sitting-{number + 1}" if config.sittings > 1 else out
        with line() as opened:
            done.append(sit(paper(questions, None if seed is None else seed + number), config, contest, opened, folder, now))
        log.info("sitting %d: %s", number + 1, done[-1].failure or f"{done[-1].score} of {len(questions)} right")
    return {
        "problems": len(questions),
        "graded": sum(question.gold is not None for question in questions),
        "seed": seed,
        "scores": [sitting.score for sitting in done],
        "score": sum(sitting.score for sitting in done) / len(done),
        "failures": [sitting.failure.name.name if sitting.failure else None for sitting in done],
        "void": [sum(asked.answer is None for asked in sitting.asked) for sitting in done],
        "seconds": [sitting.seconds for sitting in done],
    }
