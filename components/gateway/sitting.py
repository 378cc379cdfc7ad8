"""One sitting: every problem once, one at a time, under two clocks; then the files that Kaggle writes, and the record that it does not.

`kaggle`: the first failure ends the sitting, and there is no submission. `lenient`: an exception, a late or an unusable response costs its
own question only; a server that is gone or has no such function still ends the sitting, since every other question would end alike.
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
from components.gateway.batch import checked, unanswered, worth
from components.gateway.paper import Paper, Question
from components.lib.answers import Contest
from components.lib.kaggle.failure import ErrorName, Failure, late
from components.lib.kaggle.line import Line

DETAILS = 8000
FORGIVEN = {ErrorName.SERVER_RAISED_EXCEPTION, ErrorName.INVALID_SUBMISSION, ErrorName.UNSPECIFIED}
Clock = Callable[[], float]


class Gateway(Config, section="gateway"):
    """How a server is examined."""

    mode: Literal["kaggle", "lenient"]
    questions: int = Field(ge=1)
    """Problems of a sitting, for the solver's clock: no server is told how many will come."""
    shuffle: bool
    seed: int | None
    """Draws the order; null: another one each time, which is recorded."""
    response_s: float
    """For one response; the first has no limit of its own, since a model may load in it."""
    startup_s: float
    """For the server to come up."""
    total_s: float
    """For the sitting. On Kaggle the notebook's limit keeps it, not the gateway."""
    sittings: int = Field(ge=1)
    """The score is their mean."""


class GatewayAddress(MachineConfig, section="gateway"):
    """Where the examined server is."""

    host: str
    """In the scored run on Kaggle always `inference_server`."""
    port: int


class Asked(Row):
    """One problem that was asked, or whose turn came after the time was up."""

    id: str
    answer: int | None
    void: str | None
    """Why nothing counts, where `answer` is None."""
    gold: int | None
    right: bool
    seconds: float


class Sitting(NamedTuple):
    """What became of it."""

    asked: tuple[Asked, ...]
    failure: Failure | None
    seconds: float

    @property
    def score(self) -> int:
        """Right answers; a sitting that failed has none."""
        return 0 if self.failure else sum(one.right for one in self.asked)


class _Turn(NamedTuple):
    """What a response is worth, beside the row of the submission."""

    asked: Asked
    frame: Any


def sit(paper: Paper, config: Gateway, contest: Contest, line: Line, folder: Path, now: Clock = time.monotonic) -> Sitting:
    """Asks the paper in this order and writes submission.parquet (unless it failed), result.json and sitting.json into the folder."""
    opened, turns, failure = now(), list[_Turn](), None
    try:
        for turn in _turns(paper.questions, config, contest, line, now):
            turns.append(turn)
        _submit([turn.frame for turn in turns], folder / "submission.parquet")
    except Failure as error:
        failure = error
    except Exception as error:  # result.json says what ended a sitting, also where the fault is on this side
        failure = Failure(ErrorName.GATEWAY_RAISED_EXCEPTION, f"{type(error).__name__}: {error}")
    done = Sitting(tuple(turn.asked for turn in turns), failure, now() - opened)
    write_json(folder / "sitting.json", _record(paper, done))
    write_json(folder / "result.json", _result(failure))
    return done


def _turns(questions: Sequence[Question], config: Gateway, contest: Contest, line: Line, now: Clock) -> Iterator[_Turn]:
    ends, limit_s = now() + config.total_s, config.total_s
    for question in questions:
        began = now()
        try:
            frame = _ask(question, line, limit_s, ends, now)
            answer, void = worth(frame, contest)
        except Failure as failure:
            if config.mode == "kaggle" or not (failure.late or failure.name in FORGIVEN):
                raise
            frame, answer, void = unanswered(question.id), None, str(failure)
        right = answer is not None and answer == question.gold
        spent = round(now() - began, 3)
        yield _Turn(Asked(id=question.id, answer=answer, void=void, gold=question.gold, right=right, seconds=spent), frame)
        limit_s = config.response_s


def _ask(question: Question, line: Line, limit_s: float, ends: float, now: Clock) -> Any:
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
    return checked(response, question.id)


def _time_up() -> Failure:
    return Failure(ErrorName.UNSPECIFIED, "the sitting's time is up")


def _submit(frames: Sequence[Any], path: Path) -> None:
    """All batches as one file, in the order in which they were asked; moved into place when it is whole."""
    import polars as pl

    whole = pl.concat(frames, how="vertical_relaxed")
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole.write_parquet(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _result(failure: Failure | None) -> dict[str, Any]:
    """result.json as Kaggle's gateway writes it."""
    if failure is None:
        return {"Succeeded": True}
    return {"Succeeded": False, "ErrorType": int(failure.name), "ErrorName": failure.name.name, "ErrorDetails": failure.details[:DETAILS]}


def _record(paper: Paper, done: Sitting) -> dict[str, Any]:
    return {
        "seed": paper.seed,
        "order": [question.id for question in paper.questions],
        "asked": [one.model_dump() for one in done.asked],
        "score": done.score,
        "seconds": done.seconds,
    }
