"""`predict`, and what a notebook does with it: in the scored run it serves until it is ended, else it rehearses over the same protocol.

Knows solvers as a callable (id, question) -> answer, or None for no answer.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.errors import UserError
from components.core.params import PARAMS
from components.core.runner import write_json
from components.core.types import Problem
from components.gateway.exam_run import Gateway, GatewayAddress
from components.gateway.questions import Question, read
from components.gateway.stage import run_exams
from components.lib.answers import Contest
from components.lib.kaggle.client import Client, GrpcClient
from components.lib.kaggle.server import InferenceServer, rerun

Answer = Callable[[str, str], int | None]
OpenSolver = Callable[[], AbstractContextManager[Answer]]
NONE = 0
"""What stands in the submission where the solver has no answer: the column holds whole numbers."""


def predictor(answer: Answer) -> Callable[[Any, Any], Any]:
    """The function that a gateway calls: one polars series per column, of one row each, to a frame {id, answer}."""

    def predict(id_: Any, question: Any) -> Any:
        import polars as pl

        found = answer(str(id_.item(0)), question.item(0))  # a column of integers is a column of ids, too, and goes back as it came
        return pl.DataFrame({"id": id_, "answer": pl.Series([NONE if found is None else found], dtype=pl.Int64)})

    return predict


def serve(solver: OpenSolver, params: Path = PARAMS, problems: Path | None = None, out: Path = Path()) -> None:
    """Serves `solver`; with `problems`, and outside the scored run, only for as long as a rehearsal on them takes."""
    if rerun() or problems is None:
        with solver() as answer, InferenceServer(predictor(answer), port=GatewayAddress.load(params.parent).port) as server:
            print(f"predict is served at port {server.port}", flush=True)
            server.wait()
    else:
        _rehearse(solver, params, problems, out)


def _rehearse(solver: OpenSolver, params: Path, problems: Path, out: Path) -> None:
    """The exam of components/gateway, a fresh solver and server for each run; a failed run is an error, as in a notebook."""
    config, contest = Gateway.load(params), Contest.load(params)

    @contextmanager
    def line() -> Iterator[Client]:
        with (
            solver() as answer,
            InferenceServer(predictor(answer), port=0) as server,
            GrpcClient("127.0.0.1", server.port, config.startup_s) as opened,
        ):
            yield opened

    rows.write(out / "problems.parquet", map(_problem, read(problems, contest)), Problem)
    metrics = run_exams(config, contest, problems, line, out)
    write_json(out / "score.json", metrics)
    print(f"{out / 'score.json'}: {metrics['scores']} of {metrics['graded']} right")
    if any(metrics["failures"]):
        raise UserError(f"the rehearsal failed ({', '.join(filter(None, metrics['failures']))}); result.json in {out} says why")


def _problem(question: Question) -> Problem:
    """As `replay` reads it, beside the solver's candidates."""
    name = str(question.id)
    return Problem(id=name, statement=question.text, answer=question.gold, source="rehearsal", licence="", group=name)
