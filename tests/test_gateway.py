"""The gateway: its clocks, its two modes, every error name provoked for real, its files, its order; on servers that are not ours too."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from components.core.errors import UserError
from components.gateway.paper import Paper, Question, paper, read
from components.gateway.sitting import Gateway, Sitting, sit
from components.gateway.stage import gateway, hold
from components.lib.answers import Contest
from components.lib.kaggle.failure import ErrorName
from components.lib.kaggle.line import Direct, Line, Wire
from components.lib.kaggle.server import InferenceServer
from components.serve.notebook import predictor
from tests import by_hand

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data") / "aimo_reference"
AIMO2 = Contest(low=0, high=999, modulus=1000)
AIMO3 = Contest(low=0, high=99_999, modulus=None)
QUESTIONS = [Question(f"p{number:02}", f"What is {number} + {number}?", 2 * number) for number in range(50)]
GOLDS = {question.text: question.gold for question in QUESTIONS}
Predict = Callable[[Any, Any], Any]


def config(**over: Any) -> Gateway:
    usual = {"mode": "lenient", "host": "localhost", "port": 0, "shuffle": True, "seed": 1, "response_s": 1800.0, "startup_s": 900.0}
    return Gateway.model_validate({**usual, "total_s": 18000.0, "sittings": 1, "questions": 50, **over})


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


def in_order(count: int = 3) -> Paper:
    return Paper(tuple(QUESTIONS[:count]), None)


def examine(folder: Path, predict: Predict, clock: Clock | None = None, count: int = 3, **over: Any) -> Sitting:
    """A sitting in this process."""
    return sit(in_order(count), config(**over), AIMO2, Direct(predict), folder, clock or time.monotonic)


# ---- a whole sitting ---------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_ours_sits_fifty_problems(tmp_path: Path) -> None:
    def predict(name: str, question: str) -> bytes:
        payload = by_hand.frame if int(name[1:]) % 2 else by_hand.pandas_frame
        return payload(id=[name], answer=[GOLDS[question]])

    with by_hand.server(predict) as port, Wire("localhost", port, startup_s=5) as line:
        done = sit(paper(QUESTIONS, seed=5), config(mode="kaggle"), AIMO2, line, tmp_path)
    assert (done.score, done.failure) == (50, None)
    assert result(tmp_path) == {"Succeeded": True}
    submitted = pl.read_parquet(tmp_path / "submission.parquet")
    assert submitted.columns == ["id", "answer"] and submitted["id"].to_list() == [one.id for one in done.asked]
    assert dict(submitted.iter_rows()) == {question.id: question.gold for question in QUESTIONS}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "sitting.json", "submission.parquet"]


def test_one_problem_is_out_at_a_time_and_its_answer_never(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []
    busy = 0

    def predict(*columns: Any) -> Any:
        nonlocal busy
        busy += 1
        assert busy == 1 and [len(column) for column in columns] == [1, 1]
        assert all(isinstance(column, pl.Series) and column.dtype == pl.String for column in columns)
        seen.append(tuple(column.item() for column in columns))
        busy -= 1
        return predictor(right)(*columns)

    file = tmp_path / "reference.csv"
    file.write_text("id,question,answer\n" + "".join(f"{q.id},{q.text},{q.gold}\n" for q in QUESTIONS), encoding="utf-8")
    with InferenceServer(predict, port=0) as server:
        metrics = hold(config(), AIMO2, file, lambda: Wire("localhost", server.port, 5), tmp_path / "out")
    assert metrics["scores"] == [50] and len(seen) == 50
    assert sorted(seen) == sorted((question.id, question.text) for question in QUESTIONS)


def test_the_order_is_the_seeds_alone_and_is_recorded(tmp_path: Path) -> None:
    first = [question.id for question in paper(QUESTIONS, seed=7).questions]
    assert first == [question.id for question in paper(QUESTIONS[::-1], seed=7).questions]
    assert first != [question.id for question in paper(QUESTIONS, seed=8).questions] and sorted(first) == [q.id for q in QUESTIONS]
    assert paper(QUESTIONS, seed=None).questions == tuple(QUESTIONS)
    file = tmp_path / "test.csv"
    file.write_text("id,question\n" + "".join(f"{q.id},{q.text}\n" for q in QUESTIONS), encoding="utf-8")
    metrics = hold(config(seed=None), AIMO2, file, lambda: nullcontext(Direct(predictor(right))), tmp_path / "out")
    record = json.loads((tmp_path / "out/sitting.json").read_text(encoding="utf-8"))
    assert record["seed"] == metrics["seed"]  # drawn, since none was given
    assert record["order"] == [q.id for q in paper(QUESTIONS, metrics["seed"]).questions] == [one["id"] for one in record["asked"]]
    assert (metrics["graded"], metrics["scores"]) == (0, [0])  # no answers, no score


# ---- clocks -------------------------------------------------------------------------------------------------------------


def test_five_hours_are_over_after_five_hours(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda _: 400.0), clock, count=50)
    assert done.score == 45 == 18000 // 400 and done.seconds == 18000  # a response at the very end still counts
    assert [one.void for one in done.asked[45:]] == ["UNSPECIFIED: the sitting's time is up"] * 5
    assert done.failure is None and pl.read_parquet(tmp_path / "submission.parquet")["answer"].null_count() == 5


def test_the_first_response_may_load_a_model_and_later_ones_have_thirty_minutes(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: [7200.0, 1800.0, 1801.0, 5.0][call]), clock, count=4)
    assert [one.right for one in done.asked] == [True, True, False, True]
    assert done.asked[2].void == "SERVER_CONNECTION_FAILED: no response within 1800 s"
    assert [one.seconds for one in done.asked] == [7200.0, 1800.0, 1801.0, 5.0]


def test_a_response_after_the_end_does_not_count(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: [17_000.0, 1500.0][call]), clock, count=2)
    assert [one.right for one in done.asked] == [True, False] and "time is up" in str(done.asked[1].void)


def test_a_late_response_over_the_wire_costs_its_question(tmp_path: Path) -> None:
    calls = iter(range(10))

    def predict(id_: Any, question: Any) -> Any:
        time.sleep(0.6 if next(calls) == 1 else 0)
        return predictor(right)(id_, question)

    with InferenceServer(predict, port=0) as server, Wire("localhost", server.port, 5) as line:
        done = sit(in_order(4), config(response_s=0.4), AIMO2, line, tmp_path)
    assert [one.right for one in done.asked] == [True, False, True, True]  # the third waits for the server, which is still at the second
    assert "no response within 0.4 s" in str(done.asked[1].void)


# ---- the seven names ------------------------------------------------------------------------------------------------------


def two_then(last: Predict) -> Predict:
    calls = iter(range(1000))

    def predict(id_: Any, question: Any) -> Any:
        return predictor(right)(id_, question) if next(calls) < 2 else last(id_, question)

    return predict


def raising(id_: Any, question: Any) -> Any:
    raise RuntimeError("no ² " * 9000)


def answering(answer: Any) -> Predict:
    def predict(id_: Any, question: Any) -> Any:
        return pl.DataFrame({"id": id_, "answer": [answer]})

    return predict


@contextmanager
def served(predict: Predict) -> Iterator[Line]:
    with InferenceServer(predict, port=0) as server, Wire("localhost", server.port, 5) as line:
        yield line


LINES: list[Callable[[Predict], Any]] = [served, lambda predict: nullcontext(Direct(predict))]


def sit_kaggle(folder: Path, line: Line, **over: Any) -> dict[str, Any]:
    done = sit(in_order(), config(mode="kaggle", **over), AIMO2, line, folder)
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

    with by_hand.server(predict) as port, Wire("localhost", port, startup_s=5) as line:
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
    with Wire("localhost", port, startup_s=0.3) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (1, "SERVER_NEVER_STARTED")
    assert told["ErrorDetails"] == "Failed to connect to server after waiting 0.3 seconds" and time.monotonic() - began < 10


def test_a_host_that_does_not_exist_is_a_server_that_never_started(tmp_path: Path) -> None:
    with Wire("inference-server.invalid", 50051, startup_s=900) as line:
        told = sit_kaggle(tmp_path, line)
    assert told["ErrorName"] == "SERVER_NEVER_STARTED" and "no host inference-server.invalid" in told["ErrorDetails"]


def test_in_the_scored_run_the_server_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_IS_COMPETITION_RERUN", "1")
    file = tmp_path / "test.csv"
    file.write_text("id,question\na,b\n", encoding="utf-8")
    metrics = gateway(config(startup_s=0.1, port=50051), AIMO2, problems=file, out=tmp_path / "out")
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
        with Wire("localhost", port, startup_s=20) as line:
            assert sit(in_order(), config(), AIMO2, line, tmp_path).score == 3
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
        with Wire("localhost", int(process.stdout.readline()), startup_s=30) as line:
            done = sit(in_order(), config(), AIMO2, line, tmp_path)
    assert len(done.asked) == 1 and done.failure, "also a lenient sitting ends where there is no server"
    told = result(tmp_path)
    assert (told["ErrorType"], told["ErrorName"]) == (2, "SERVER_CONNECTION_FAILED") and "UNAVAILABLE" in told["ErrorDetails"]


def test_a_late_response_is_a_failed_connection_in_kaggle_mode(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: 1801.0 * call), clock, mode="kaggle")
    assert done.failure and done.failure.name == ErrorName.SERVER_CONNECTION_FAILED and len(done.asked) == 1


def test_gateway_raised_exception(tmp_path: Path) -> None:
    """Batches that are each valid but make no one table: Kaggle's gateway, too, only finds out when it joins them."""
    with served(two_then(answering([1, 2]))) as line:
        told = sit_kaggle(tmp_path, line)
    assert (told["ErrorType"], told["ErrorName"]) == (5, "GATEWAY_RAISED_EXCEPTION") and "SchemaError" in told["ErrorDetails"]


def test_unspecified_is_the_sittings_own_end(tmp_path: Path) -> None:
    """No rule of the protocol is broken where the notebook's time is up; Kaggle's gateway has no name for it, and is ended with it."""
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda _: 8000.0), clock, mode="kaggle", response_s=9000.0)
    assert done.failure and len(done.asked) == 2
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


# ---- lenient and kaggle, answers and scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", LINES, ids=["wire", "direct"])
@pytest.mark.parametrize(("last", "name"), [(raising, "SERVER_RAISED_EXCEPTION"), (lambda i, q: None, "INVALID_SUBMISSION")])
def test_a_lenient_sitting_goes_on_where_a_kaggle_sitting_ends(tmp_path: Path, opened: Any, last: Predict, name: str) -> None:
    calls = iter(range(1000))

    def predict(id_: Any, question: Any) -> Any:
        return last(id_, question) if next(calls) % 5 == 1 else predictor(right)(id_, question)

    with opened(predict) as line:
        lenient = sit(in_order(5), config(), AIMO2, line, tmp_path / "lenient")
    assert [one.right for one in lenient.asked] == [True, False, True, True, True] and str(lenient.asked[1].void).startswith(name)
    assert pl.read_parquet(tmp_path / "lenient/submission.parquet")["answer"].to_list() == [0, None, 4, 6, 8]
    calls = iter(range(1000))
    with opened(predict) as line:
        assert sit_kaggle(tmp_path / "kaggle", line)["ErrorName"] == name


@pytest.mark.parametrize(
    ("answer", "counts", "void"),
    [
        (4, 4, None),
        (4.0, 4, None),
        ("4", 4, None),
        (1004, None, "1004 is outside 0..999"),  # the solver's to reduce, not the gateway's
        (4.5, None, "4.5 is not an integer"),
        ("four", None, "'four' is not an integer"),
        (True, None, "True is not an integer"),
        (None, None, "no answer"),
    ],
)
def test_an_answer_scores_where_it_is_a_whole_number_in_range(tmp_path: Path, answer: Any, counts: int | None, void: str | None) -> None:
    done = sit(Paper((QUESTIONS[2],), None), config(mode="kaggle"), AIMO2, Direct(answering(answer)), tmp_path)
    (asked,) = done.asked
    assert done.failure is None, "Kaggle's gateway looks at no answer"
    assert (asked.answer, asked.void, asked.right) == (counts, void, counts == 4)


def test_aimo_3_is_a_setting(tmp_path: Path) -> None:
    """0..99,999 without a modulus, the file's order, nine hours for a response, the mean of two sittings."""
    file = tmp_path / "reference.csv"
    file.write_text("id,problem,answer\nb,large,99999\na,small,4\n", encoding="utf-8")
    opened: list[Clock] = []

    def line() -> Any:
        calls, sitting = iter(range(10)), len(opened)
        opened.append(clock)

        def predict(id_: Any, question: Any) -> Any:
            clock.now += 8 * 3600.0 if next(calls) else 0.0
            return pl.DataFrame({"id": id_, "answer": [99_999 if question.item() == "large" else 4 + sitting]})

        return nullcontext(Direct(predict))

    clock = Clock()
    settings = config(mode="kaggle", shuffle=False, response_s=32_400.0, total_s=40_000.0, sittings=2)
    metrics = hold(settings, AIMO3, file, line, tmp_path / "out", clock)
    assert (metrics["scores"], metrics["score"], metrics["seed"]) == ([2, 1], 1.5, None)
    assert len(opened) == 2, "each sitting has a fresh server"
    for number in (1, 2):
        assert json.loads((tmp_path / f"out/sitting-{number}/sitting.json").read_text(encoding="utf-8"))["order"] == ["b", "a"]
        assert result(tmp_path / f"out/sitting-{number}") == {"Succeeded": True}


# ---- papers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,text\na,b\n", "columns id, text; wanted are id, question"),
        ("id,question\n", "holds no problem"),
        ("id,question\na,b\na,c\n", "row 2: .*'a' for the second time"),
        ("id,question\n,b\n", "row 1: no id"),
        ("id,question,answer\na,b,1000\n", r"row 1: answer: 1000 is outside 0\.\.999"),
        ("id,question,answer\na,b,x\n", "row 1: answer: 'x' is not an integer"),
        ('id,question\na,"b\n', "not a CSV file"),
    ],
)
def test_a_bad_paper_is_refused_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "test.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read(file, AIMO2)


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")
@pytest.mark.parametrize(
    ("name", "contest", "count"), [("aimo2_reference", AIMO2, 10), ("aimo2_reference_retyped", AIMO2, 10), ("aimo3_reference", AIMO3, 10)]
)
def test_the_real_reference_files_are_sat(tmp_path: Path, name: str, contest: Contest, count: int) -> None:
    golds = {question.id: question.gold for question in read(DATA / f"{name}.csv", contest)}
    metrics = hold(config(), contest, DATA / f"{name}.csv", lambda: nullcontext(Direct(predictor(lambda id_, _: golds[id_]))), tmp_path)
    assert (metrics["graded"], metrics["scores"], metrics["failures"]) == (count, [count], [None])
    assert dict(pl.read_parquet(tmp_path / "submission.parquet").iter_rows()) == golds
