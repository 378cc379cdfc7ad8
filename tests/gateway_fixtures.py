"""Runs of the gateway: questions with their answers, a clock that is told the time, and what was written at the end."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from components.gateway.exam_run import ExamResult, Gateway, run_exam
from components.gateway.questions import Question, QuestionOrder
from components.lib.answers import Contest
from components.lib.kaggle.client import InProcessClient
from components.serve.notebook import predictor

AIMO2 = Contest(low=0, high=999, modulus=1000)
QUESTIONS = [Question(f"p{number:02}", f"What is {number} + {number}?", 2 * number) for number in range(50)]
GOLDS = {question.text: question.gold for question in QUESTIONS}
Predict = Callable[[Any, Any], Any]


def config(**over: Any) -> Gateway:
    usual = {"mode": "lenient", "shuffle": True, "seed": 1, "response_s": 1800.0, "startup_s": 900.0}
    return Gateway.model_validate({**usual, "total_s": 18000.0, "num_runs": 1, "num_questions": 50, **over})


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def right(name: str, question: str) -> int | None:
    return GOLDS[question]


def spending(clock: Clock, seconds: Callable[[int], float]) -> Predict:
    """A right predict whose nth call takes this long."""
    calls = iter(range(1000))

    def predict(id_: Any, question: Any) -> Any:
        clock.now += seconds(next(calls))
        return predictor(right)(id_, question)

    return predict


def result(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def in_order(count: int = 3) -> QuestionOrder:
    return QuestionOrder(tuple(QUESTIONS[:count]), None)


def examine(folder: Path, predict: Predict, clock: Clock | None = None, count: int = 3, **over: Any) -> ExamResult:
    """A run in this process."""
    return run_exam(in_order(count), config(**over), AIMO2, InProcessClient(predict), folder, clock or time.monotonic)


def answering(answer: Any) -> Predict:
    def predict(id_: Any, question: Any) -> Any:
        return pl.DataFrame({"id": id_, "answer": [answer]})

    return predict
