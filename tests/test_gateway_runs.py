"""The gateway's runs: questions, their order, one problem at a time, clocks, and which answers score; on servers that are not ours too."""

import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.core.errors import UserError
from components.gateway.exam_run import run_exam
from components.gateway.questions import QuestionOrder, question_order, read
from components.gateway.stage import run_exams
from components.lib.answers import Contest
from components.lib.kaggle.client import GrpcClient, InProcessClient
from components.lib.kaggle.server import InferenceServer
from components.serve.notebook import predictor
from tests import kaggle_fixtures
from tests.gateway_fixtures import AIMO2, GOLDS, QUESTIONS, Clock, answering, config, examine, in_order, result, right, spending

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data") / "aimo_reference"
AIMO3 = Contest(low=0, high=99_999, modulus=None)


# ---- a whole run ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [kaggle_fixtures.frame, kaggle_fixtures.pandas_frame])
def test_a_server_that_is_not_ours_sits_fifty_problems(tmp_path: Path, payload: Any) -> None:
    def predict(name: str, question: str) -> bytes:
        return payload(id=[name], answer=[GOLDS[question]])

    with kaggle_fixtures.server(predict) as port, GrpcClient("localhost", port, startup_s=5) as line:
        done = run_exam(question_order(QUESTIONS, seed=5), config(mode="kaggle"), AIMO2, line, tmp_path)
    assert (done.score, done.failure) == (50, None)
    assert result(tmp_path) == {"Succeeded": True}
    submitted = pl.read_parquet(tmp_path / "submission.parquet")
    assert submitted.columns == ["id", "answer"] and submitted["id"].to_list() == [one.id for one in done.questions]
    assert dict(submitted.iter_rows()) == {question.id: question.gold for question in QUESTIONS}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "run.json", "submission.parquet"]


def test_ids_that_are_all_numbers_go_out_as_numbers(tmp_path: Path) -> None:
    """As Kaggle's reader infers them; one that is none keeps all of them texts."""
    for names, sent in ((["057", "7"], [57, 7]), (["057", "a7"], ["057", "a7"])):
        file = tmp_path / f"{names[1]}.csv"
        file.write_text("id,question\n" + "".join(f"{name},{QUESTIONS[n].text}\n" for n, name in enumerate(names)), encoding="utf-8")
        for mode in ("kaggle", "lenient"):
            with InferenceServer(predictor(right), port=0) as server, GrpcClient("127.0.0.1", server.port, 5) as line:
                done = run_exam(question_order(read(file, AIMO2), None), config(mode=mode), AIMO2, line, tmp_path)
            assert done.failure is None and [one.id for one in done.questions] == [str(name) for name in sent]
            assert pl.read_parquet(tmp_path / "submission.parquet")["id"].to_list() == sent
    (tmp_path / "twice.csv").write_text("id,question\n7,a\n07,b\n", encoding="utf-8")
    with pytest.raises(UserError, match="two ids are one number, as 7 and 07"):
        read(tmp_path / "twice.csv", AIMO2)


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
        metrics = run_exams(config(), AIMO2, file, lambda: GrpcClient("localhost", server.port, 5), tmp_path / "out")
    assert metrics["scores"] == [50] and len(seen) == 50
    assert sorted(seen) == sorted((question.id, question.text) for question in QUESTIONS)


def test_the_order_is_the_seeds_alone_and_is_recorded(tmp_path: Path) -> None:
    first = [question.id for question in question_order(QUESTIONS, seed=7).questions]
    assert first == [question.id for question in question_order(QUESTIONS[::-1], seed=7).questions]
    assert first != [question.id for question in question_order(QUESTIONS, seed=8).questions] and sorted(first) == [q.id for q in QUESTIONS]
    assert question_order(QUESTIONS, seed=None).questions == tuple(QUESTIONS)
    file = tmp_path / "test.csv"
    file.write_text("id,question\n" + "".join(f"{q.id},{q.text}\n" for q in QUESTIONS), encoding="utf-8")
    metrics = run_exams(config(seed=None), AIMO2, file, lambda: nullcontext(InProcessClient(predictor(right))), tmp_path / "out")
    record = json.loads((tmp_path / "out/run.json").read_text(encoding="utf-8"))
    assert record["seed"] == metrics["seed"]  # drawn, since none was given
    assert (
        record["order"]
        == [q.id for q in question_order(QUESTIONS, metrics["seed"]).questions]
        == [one["id"] for one in record["questions"]]
    )
    assert (metrics["graded"], metrics["scores"]) == (0, [0])  # no answers, no score


# ---- clocks -------------------------------------------------------------------------------------------------------------


def test_five_hours_are_over_after_five_hours(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda _: 400.0), clock, count=50)
    assert done.score == 45 == 18000 // 400 and done.seconds == 18000  # a response at the very end still counts
    assert [one.invalid_reason for one in done.questions[45:]] == ["UNSPECIFIED: the run's time is up"] * 5
    assert done.failure is None and pl.read_parquet(tmp_path / "submission.parquet")["answer"].null_count() == 5


def test_the_first_response_may_load_a_model_and_later_ones_have_thirty_minutes(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: [7200.0, 1800.0, 1801.0, 5.0][call]), clock, count=4)
    assert [one.correct for one in done.questions] == [True, True, False, True]
    assert done.questions[2].invalid_reason == "SERVER_CONNECTION_FAILED: no response within 1800 s"
    assert [one.seconds for one in done.questions] == [7200.0, 1800.0, 1801.0, 5.0]


def test_a_response_after_the_end_does_not_count(tmp_path: Path) -> None:
    clock = Clock()
    done = examine(tmp_path, spending(clock, lambda call: [17_000.0, 1500.0][call]), clock, count=2)
    assert [one.correct for one in done.questions] == [True, False] and "time is up" in str(done.questions[1].invalid_reason)


def test_a_late_response_over_the_wire_costs_its_question(tmp_path: Path) -> None:
    calls = iter(range(10))

    def predict(id_: Any, question: Any) -> Any:
        time.sleep(0.6 if next(calls) == 1 else 0)
        return predictor(right)(id_, question)

    with InferenceServer(predict, port=0) as server, GrpcClient("localhost", server.port, 5) as line:
        done = run_exam(in_order(4), config(response_s=0.4), AIMO2, line, tmp_path)
    assert [one.correct for one in done.questions] == [
        True,
        False,
        True,
        True,
    ]  # the third waits for the server, which is still at the second
    assert "no response within 0.4 s" in str(done.questions[1].invalid_reason)


# ---- lenient and kaggle, answers and scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "counts", "invalid_reason"),
    [
        (4, 4, None),
        (4.0, 4, None),
        ("4", 4, None),
        (1004, None, "1004 is outside 0..999"),  # the solver's to reduce, not the gateway's
        (4.5, None, "4.5 is not an integer"),
        ("four", None, "'four' is not an integer"),
        (True, None, "True is not an integer"),
    ],
)
def test_an_answer_scores_where_it_is_a_whole_number_in_range(
    tmp_path: Path, answer: Any, counts: int | None, invalid_reason: str | None
) -> None:
    done = run_exam(QuestionOrder((QUESTIONS[2],), None), config(mode="kaggle"), AIMO2, InProcessClient(answering(answer)), tmp_path)
    (asked,) = done.questions
    assert done.failure is None, "Kaggle's gateway looks at no answer"
    assert (asked.answer, asked.invalid_reason, asked.correct) == (counts, invalid_reason, counts == 4)


def test_aimo_3_is_a_setting(tmp_path: Path) -> None:
    """0..99,999 without a modulus, the file's order, nine hours for a response, the mean of two runs."""
    file = tmp_path / "reference.csv"
    file.write_text("id,problem,answer\nb,large,99999\na,small,4\n", encoding="utf-8")
    opened: list[Clock] = []

    def line() -> Any:
        calls, run = iter(range(10)), len(opened)
        opened.append(clock)

        def predict(id_: Any, question: Any) -> Any:
            clock.now += 8 * 3600.0 if next(calls) else 0.0
            return pl.DataFrame({"id": id_, "answer": [99_999 if question.item() == "large" else 4 + run]})

        return nullcontext(InProcessClient(predict))

    clock = Clock()
    settings = config(mode="kaggle", shuffle=False, response_s=32_400.0, total_s=40_000.0, num_runs=2)
    metrics = run_exams(settings, AIMO3, file, line, tmp_path / "out", clock)
    assert (metrics["scores"], metrics["score"], metrics["seed"]) == ([2, 1], 1.5, None)
    assert len(opened) == 2, "each run has a fresh server"
    for number in (1, 2):
        assert json.loads((tmp_path / f"out/run-{number}/run.json").read_text(encoding="utf-8"))["order"] == ["b", "a"]
        assert result(tmp_path / f"out/run-{number}") == {"Succeeded": True}


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
def test_the_real_reference_files_are_run(tmp_path: Path, name: str, contest: Contest, count: int) -> None:
    golds = {question.id: question.gold for question in read(DATA / f"{name}.csv", contest)}
    metrics = run_exams(
        config(), contest, DATA / f"{name}.csv", lambda: nullcontext(InProcessClient(predictor(lambda id_, _: golds[id_]))), tmp_path
    )
    assert (metrics["graded"], metrics["scores"], metrics["failures"]) == (count, [count], [None])
    assert dict(pl.read_parquet(tmp_path / "submission.parquet").iter_rows()) == golds
