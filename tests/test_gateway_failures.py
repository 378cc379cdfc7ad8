"""The seven names of Kaggle's protocol, each provoked for real: which of them ends a run, and what a lenient one makes of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from components.gateway.exam_run import GatewayAddress, run_exam
from components.gateway.stage import gateway
from components.lib.kaggle.client import Client, GrpcClient, InProcessClient
from components.lib.kaggle.failure import ErrorName
from components.lib.kaggle.server import InferenceServer
from components.serve.notebook import predictor
from tests import kaggle_fixtures
from tests.gateway_fixtures import AIMO2, Clock, Predict, answering, config, examine, in_order, result, right, spending


def two_then(last: Predict) -> Predict:
    calls = iter(range(1000))

    def predict(id_: Any, question: Any) -> Any:
        return predictor(right)(id_, question) if next(calls) < 2 else last(id_, question)

    return predict


def raising(id_: Any, question: Any) -> Any:
    raise RuntimeError("no ² " * 9000)


@contextmanager
def served(predict: Predict) -> Iterator[Client]:
    with InferenceServer(predict, port=0) as server, GrpcClient("localhost", server.port, 5) as line:
        yield line


LINES: list[Callable[[Predict], Any]] = [served, lambda predict: nullcontext(InProcessClient(predict))]


def sit_kaggle(folder: Path, line: Client, **over: Any) -> dict[str, Any]:
    done = run_exam(in_order(), config(mode="kaggle", **over), AIMO2, line, folder)
    assert done.failure and done.score == 0 and not (folder / "submission.parquet").exists()
    return result(folder)


@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
def test_server_raised_exception(tmp_path: Path, opened: Any) -> None:
    with opened(two_then(raising)) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["Succeeded"], told["ErrorType"], told["ErrorName"]) == (False, 3, "SERVER_RAISED_EXCEPTION")
    assert "Exception calling application: no ² " in told["ErrorDetails"]


def test_a_servers_long_exception_is_kept_up_to_8000_characters(tmp_path: Path) -> None:
    def predict(name: str, question: str) -> bytes:
        raise RuntimeError("²" * 30_000)

    with kaggle_fixtures.server(predict) as port, GrpcClient("localhost", port, startup_s=5) as line:
        told = sit_kaggle(tmp_path, line)
    assert told["ErrorName"] == "SERVER_RAISED_EXCEPTION" and len(told["ErrorDetails"]) == 8000


@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
def test_server_missing_endpoint(tmp_path: Path, opened: Any) -> None:
    def train(id_: Any, question: Any) -> Any:
        return None

    with opened(train) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (4, "SERVER_MISSING_ENDPOINT")
    assert "No listener for predict was registered" in told["ErrorDetails"]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (lambda id_, question: None, "returned nothing"),
        (lambda id_, question: 4, "returned int"),
        (lambda id_, question: pl.DataFrame({"id": ["p02", "p02"], "answer": [4, 4]}), "2 rows"),
        (lambda id_, question: pd.DataFrame({"id": [], "answer": []}), "0 rows"),
        (lambda id_, question: pl.DataFrame({"answer": [4]}), "column id is missing"),
        (lambda id_, question: pl.DataFrame({"id": id_}), "column answer is missing"),
        (lambda id_, question: pl.DataFrame({"id": ["p01"], "answer": [4]}), "is for id 'p01', asked was 'p02'"),
    ],
    ids=["nothing", "a number", "two rows", "no rows", "no id", "no answer", "another id"],
)
@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
def test_invalid_submission(tmp_path: Path, opened: Any, last: Predict, said: str) -> None:
    with opened(two_then(last)) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (6, "INVALID_SUBMISSION") and said in told["ErrorDetails"]


def test_server_never_started(tmp_path: Path) -> None:
    with InferenceServer(predictor(right), port=0) as gone:
        port = gone.port
    began = time.monotonic()
    with GrpcClient("localhost", port, startup_s=0.3) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (1, "SERVER_NEVER_STARTED")
    assert told["ErrorDetails"] == "Failed to connect to server after waiting 0.3 seconds" and time.monotonic() - began < 10


def test_a_host_that_does_not_exist_is_a_server_that_never_started(tmp_path: Path) -> None:
    with GrpcClient("inference-server.invalid", 50051, startup_s=900) as line:
        told = sit_kaggle(tmp_path, line)
    assert told["ErrorName"] == "SERVER_NEVER_STARTED" and "no host inference-server.invalid" in told["ErrorDetails"]


def test_in_the_scored_run_the_server_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_IS_COMPETITION_RERUN", "1")
    file = tmp_path / "test.csv"
    file.write_text("id,question\na,b\n", encoding="utf-8")
    metrics = gateway(config(startup_s=0.1), AIMO2, GatewayAddress(host="localhost", port=50051), problems=file, out=tmp_path / "out")
    assert metrics["failures"] == ["SERVER_NEVER_STARTED"] and "no host inference_server" in result(tmp_path / "out")["ErrorDetails"]


def test_a_server_may_come_up_after_the_gateway(tmp_path: Path) -> None:
    import threading

    with InferenceServer(predictor(right), port=0) as gone:
        port = gone.port

    def later() -> None:
        time.sleep(0.5)
        with InferenceServer(predictor(right), port=port):
            over.wait(20)

    over, thread = threading.Event(), threading.Thread(target=later)
    thread.start()
    try:
        with GrpcClient("localhost", port, startup_s=20) as line:
            assert run_exam(in_order(), config(), AIMO2, line, tmp_path).score == 3
    finally:
        over.set()
        thread.join()


def test_server_connection_failed(tmp_path: Path) -> None:
    """The server's process is gone in the middle of the second question."""
    import subprocess
    import sys

    dies = (
        "import os\nfrom components.lib.kaggle.server import InferenceServer\nimport polars as pl\ncalls = []\n"
        "def predict(id_, question):\n    calls.append(id_)\n    if len(calls) == 2: os._exit(1)\n"
        "    return pl.DataFrame({'id': id_, 'answer': [0]})\n"
        "with InferenceServer(predict, port=0) as server:\n    print(server.port, flush=True)\n    server.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", dies], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        assert process.stdout
        with GrpcClient("localhost", int(process.stdout.readline()), startup_s=30) as line:
            done = run_exam(in_order(), config(), AIMO2, line, tmp_path)
    assert len(done.questions) == 1 and done.failure, "also a lenient run ends where there is no server"
    told = result(tmp_path)
    assert (told["ErrorType"], told["ErrorName"]) == (2, "SERVER_CONNECTION_FAILED") and "UNAVAILABLE" in told["ErrorDetails"]


def test_a_late_response_is_a_failed_connection_in_kaggle_mode(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: 1801.0 * call), clock, mode="kaggle")
    assert done.failure and done.failure.name == ErrorName.SERVER_CONNECTION_FAILED and len(done.questions) == 1


def test_gateway_raised_exception(tmp_path: Path) -> None:
    """Batches that are each valid but make no one table: Kaggle's gateway, too, only finds out when it joins them."""
    with served(two_then(lambda id_, question: predictor(right)(id_, question).to_pandas())) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (5, "GATEWAY_RAISED_EXCEPTION") and "AttributeError" in told["ErrorDetails"]


def test_unspecified_is_the_run_s_own_end(tmp_path: Path) -> None:
    """No rule of the protocol is broken where the notebook's time is up; Kaggle's gateway has no name for it, and is ended with it."""
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda _: 8000.0), clock, mode="kaggle", response_s=9000.0)
    assert done.failure and len(done.questions) == 2
    assert (result(tmp_path)["ErrorType"], result(tmp_path)["ErrorName"]) == (0, "UNSPECIFIED")


def test_each_name_has_its_number() -> None:
    assert {name.name: int(name) for name in ErrorName} == {
        "UNSPECIFIED": 0,
        "SERVER_NEVER_STARTED": 1,
        "SERVER_CONNECTION_FAILED": 2,
        "SERVER_RAISED_EXCEPTION": 3,
        "SERVER_MISSING_ENDPOINT": 4,
        "GATEWAY_RAISED_EXCEPTION": 5,
        "INVALID_SUBMISSION": 6,
    }


@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
@pytest.mark.parametrize(("last", "name"), [(raising, "SERVER_RAISED_EXCEPTION"), (lambda i, q: None, "INVALID_SUBMISSION")])
def test_a_lenient_run_goes_on_where_kaggle_s_ends(tmp_path: Path, opened: Any, last: Predict, name: str) -> None:
    calls = iter(range(1000))

    def predict(id_: Any, question: Any) -> Any:
        return last(id_, question) if next(calls) % 5 == 1 else predictor(right)(id_, question)

    with opened(predict) as line:
        lenient = run_exam(in_order(5), config(), AIMO2, line, tmp_path / "lenient")
    assert [one.correct for one in lenient.questions] == [True, False, True, True, True] and str(
        lenient.questions[1].invalid_reason
    ).startswith(name)
    assert pl.read_parquet(tmp_path / "lenient/submission.parquet")["answer"].to_list() == [0, None, 4, 6, 8]
    calls = iter(range(1000))
    with opened(predict) as line:
        assert sit_kaggle(tmp_path / "kaggle", line)["ErrorName"] == name


@pytest.mark.parametrize("odd", [[7], b"7"], ids=["list", "bytes"])
def test_one_odd_answer_costs_a_lenient_run_its_own_question_only(tmp_path: Path, odd: Any) -> None:
    def predict(id_: Any, question: Any) -> Any:
        made = predictor(right)(id_, question)
        return pl.DataFrame({"id": id_, "answer": [odd]}) if made["answer"][0] == 2 else made

    with LINES[1](predict) as line:
        lenient = run_exam(in_order(3), config(), AIMO2, line, tmp_path)
    assert lenient.failure is None and [one.correct for one in lenient.questions] == [True, False, True]
    assert pl.read_parquet(tmp_path / "submission.parquet")["answer"].to_list() == [0, None, 4]


def polars_of(id_: Any, question: Any) -> Any:
    return predictor(right)(id_, question)


def pandas_of(id_: Any, question: Any) -> Any:
    return polars_of(id_, question).to_pandas()


@pytest.mark.parametrize(
    ("frames", "name"),
    [
        ([polars_of, polars_of, pandas_of], "GATEWAY_RAISED_EXCEPTION"),
        ([pandas_of, pandas_of, polars_of], "GATEWAY_RAISED_EXCEPTION"),
        ([pandas_of, pandas_of, lambda i, q: pandas_of(i, q).assign(answer="four")], "GATEWAY_RAISED_EXCEPTION"),
        ([pandas_of, pandas_of, lambda i, q: pandas_of(i, q).assign(sure=0.5)], None),
        ([polars_of, polars_of, answering("four")], None),
        ([polars_of, polars_of, answering([4])], "INVALID_SUBMISSION"),
        ([polars_of, polars_of, lambda i, q: polars_of(i, q).with_columns(sure=0.5)], "INVALID_SUBMISSION"),
        ([polars_of, polars_of, answering(None)], "INVALID_SUBMISSION"),
        ([pandas_of, pandas_of, lambda i, q: pandas_of(i, q).assign(answer=float("nan"))], "INVALID_SUBMISSION"),
    ],
    ids=["pandas last", "polars last", "text in pandas", "another column in pandas", "text", "a list", "another column", "null", "nan"],
)
@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
def test_batches_are_joined_as_kaggle_joins_them_and_a_lenient_run_needs_no_join(
    tmp_path: Path, opened: Any, frames: list[Predict], name: str | None
) -> None:
    for mode in ("kaggle", "lenient"):
        calls = iter(frames)
        with opened(one_by_one(calls)) as line:
            done = run_exam(in_order(), config(mode=mode), AIMO2, line, tmp_path / mode)
        if mode == "kaggle":
            assert (done.failure.name.name if done.failure else None) == name
        assert (tmp_path / mode / "submission.parquet").exists() == (done.failure is None)
        assert done.failure is None or mode == "kaggle"
    last = pl.read_parquet(tmp_path / "lenient/submission.parquet")["answer"].to_list()
    assert last[:2] == [0, 2] and last[2] in (4, None)


def one_by_one(calls: Iterator[Predict]) -> Predict:
    def predict(id_: Any, question: Any) -> Any:
        return next(calls)(id_, question)

    return predict
