"""One run: every problem once, one at a time, under two clocks; then the files that Kaggle writes, and the record that it does not.

`kaggle`: the first failure ends the run, and there is no submission. `lenient`: an exception, a late or an unusable response costs its
own question only; a server that is gone or has no such function still ends the run, since every other question would end alike.
The clock is given (`now`), so that five hours can pass in a test. Does not know what lies behind the line.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from components.core.machine import MachineConfig
from components.core.params import Config
from components.core.runner import write_json
from components.core.types import Row
from components.gateway.questions import Question, QuestionOrder
from components.gateway.responses import joined, parse_answer, validated
from components.lib.answers import Contest
from components.lib.kaggle.client import Client
from components.lib.kaggle.failure import ErrorName, Failure, late

DETAILS = 8000
SKIPPED_WHEN_LENIENT = {ErrorName.SERVER_RAISED_EXCEPTION, ErrorName.INVALID_SUBMISSION, ErrorName.UNSPECIFIED}
Clock = Callable[[], float]


class Gateway(Config, section="gateway"):
    """How a server is examined."""

    mode: Literal["kaggle", "lenient"]
    num_questions: int = Field(ge=1)
    """Problems of a run, for the solver's clock: no server is told how many will come."""
    shuffle: bool
    seed: int | None
    """Draws the order; null: another one each time, which is recorded."""
    response_s: float
    """For one response; the first has no limit of its own, since a model may load in it."""
    startup_s: float
    """For the server to come up."""
    total_s: float
    """For the run. On Kaggle the notebook's limit keeps it, not the gateway."""
    num_runs: int = Field(ge=1)
    """The score is their mean."""


class GatewayAddress(MachineConfig, section="gateway"):
    """Where the examined server is."""

    host: str
    """In the scored run on Kaggle always `inference_server`."""
    port: int


class GradedQuestion(Row):
    """One problem that was asked, or whose turn came after the time was up."""

    id: str
    answer: int | None
    invalid_reason: str | None
    """Why nothing counts, where `answer` is None."""
    gold: int | None
    correct: bool
    seconds: float


class ExamResult(NamedTuple):
    """What became of it."""

    questions: tuple[GradedQuestion, ...]
    failure: Failure | None
    seconds: float

    @property
    def score(self) -> int:
        """Right answers; a run that failed has none."""
        return 0 if self.failure else sum(one.correct for one in self.questions)


class _Turn(NamedTuple):
    """What a response is worth, beside the response."""

    name: str | int
    """The question's id, as it was sent."""
    asked: GradedQuestion
    frame: Any
    """None where there is none that counts."""


def run_exam(
    order: QuestionOrder, config: Gateway, contest: Contest, line: Client, folder: Path, now: Clock = time.monotonic
) -> ExamResult:
    """Asks the questions in this order and writes submission.parquet (unless it failed), result.json and run.json into the folder."""
    opened, turns, failure = now(), list[_Turn](), None
    try:
        for turn in _turns(order.questions, config, contest, line, now):
            turns.append(turn)
        _submit(turns, config, folder / "submission.parquet")
    except Failure as error:
        failure = error
    except Exception as error:  # result.json says what ended a run, also where the fault is on this side
        failure = Failure(ErrorName.GATEWAY_RAISED_EXCEPTION, f"{type(error).__name__}: {error}")
    done = ExamResult(tuple(turn.asked for turn in turns), failure, now() - opened)
    write_json(folder / "run.json", _record(order, done))
    write_json(folder / "result.json", _result(failure))
    return done


def _turns(questions: Sequence[Question], config: Gateway, contest: Contest, line: Client, now: Clock) -> Iterator[_Turn]:
    ends, limit_s = now() + config.total_s, config.total_s
    for question in questions:
        began = now()
        try:
            frame = _ask(question, line, limit_s, ends, now)
            answer, invalid_reason = parse_answer(frame, contest)
        except Failure as failure:
            if config.mode == "kaggle" or not (failure.late or failure.name in SKIPPED_WHEN_LENIENT):
                raise
            frame, answer, invalid_reason = None, None, str(failure)
        correct = answer is not None and answer == question.gold
        spent = round(now() - began, 3)
        yield _Turn(
            question.id,
            GradedQuestion(
                id=str(question.id), answer=answer, invalid_reason=invalid_reason, gold=question.gold, correct=correct, seconds=spent
            ),
            frame,
        )
        limit_s = config.response_s


def _ask(question: Question, line: Client, limit_s: float, ends: float, now: Clock) -> Any:
    """One call: id and question as series of one row each. Whichever limit is met first says how a late response fails."""
    import polars as pl

    began = now()
    if began >= ends:
        raise _time_up()
    within = min(limit_s, ends - began)
    try:
        response = line.call("predict", pl.Series("id", [question.id]), pl.Series("question", [question.text]), limit_s=within)
        if now() - began > within:
            raise late(within)
    except Failure as failure:
        raise _time_up() if (failure.late and ends - began <= limit_s) or now() > ends else failure from None
    return validated(response, question.id)


def _time_up() -> Failure:
    return Failure(ErrorName.UNSPECIFIED, "the run's time is up")


def _submit(turns: Sequence[_Turn], config: Gateway, path: Path) -> None:
    """All answers as one file, in the order in which they were asked; moved into place when it is whole.

    `kaggle`: the responses joined as they came, which may fail; `lenient`: what counted.
    """
    import polars as pl

    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if config.mode == "kaggle":
            joined([turn.frame for turn in turns], partial)
        else:
            answers = pl.Series("answer", [turn.asked.answer for turn in turns], dtype=pl.Int64)
            pl.DataFrame({"id": [turn.name for turn in turns], "answer": answers}).write_parquet(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _result(failure: Failure | None) -> dict[str, Any]:
    """result.json as Kaggle's gateway writes it."""
    if failure is None:
        return {"Succeeded": True}
    return {"Succeeded": False, "ErrorType": int(failure.name), "ErrorName": failure.name.name, "ErrorDetails": failure.details[:DETAILS]}


def _record(order: QuestionOrder, done: ExamResult) -> dict[str, Any]:
    return {
        "seed": order.seed,
        "order": [str(question.id) for question in order.questions],
        "questions": [one.model_dump() for one in done.questions],
        "score": done.score,
        "seconds": done.seconds,
    }
