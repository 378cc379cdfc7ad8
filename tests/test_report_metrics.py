"""The report's numbers against ones made by hand: shares of attempts, votes, savings, comparisons and their intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.types import Vote
from tests.report_fixtures import FIRST, GOLD, Tags, exam, reported, small_files, workspace, write_exam


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return reported(workspace(tmp_path_factory.mktemp("report")))


@pytest.mark.parametrize(
    ("measure", "mean", "missing"),
    [
        ("pass@1", (2 / 3 + 2 / 4 + 1 / 1) / 3, 1),  # the fourth problem got no attempt
        ("pass@3", 1.0, 2),  # of 3 of [7 7 3] and of [3 3 7 7] one is always right; the third problem has one finished attempt
        ("maj@3", (1 + 1 / 2) / 2, 2),  # [3 3 7 7] without one: half of the draws have two sevens
    ],
)
def test_shares_over_finished_candidates_are_those_made_by_hand(measure: str, mean: float, missing: int, results: dict[str, Any]) -> None:
    found = results["models"]["first"][measure]
    assert found["mean"] == pytest.approx(mean)
    assert found["missing"] == missing


def test_votes_the_best_possible_and_the_loss_between_them(results: dict[str, Any]) -> None:
    first = results["models"]["first"]
    assert (first["oracle"]["mean"], first["vote_accuracy"]["majority"]["mean"], first["selection_loss"]) == (0.75, 0.5, 0.25)
    assert first["vote_accuracy"]["genselect"]["mean"] == 0.75
    assert (first["problems"], first["candidates"], first["finished"]) == (4, 12, 8)


def test_a_fallback_is_no_answer_even_where_it_is_the_right_number(tmp_path: Path) -> None:
    exam(tmp_path)
    write_exam(tmp_path, "first", [[]] * 4, {"majority": [None] * 4})
    cast = [Vote(problem=f"p{i}", strategy="majority", answer=GOLD, fallback=True, gold=GOLD, correct=False, support=()) for i in range(4)]
    rows.write(tmp_path / "runs/exam/first/votes.parquet", cast, Vote)
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, examined=["first"])["models"]["first"]
    assert (model["vote_accuracy"]["majority"]["mean"], model["unanswered"]) == (0.0, {"majority": 4})
    assert f"none ({GOLD} as fallback)" in Tags((tmp_path / "index.html").read_text(encoding="utf-8")).text


def test_a_cancelled_attempt_saves_what_a_finished_one_of_its_problem_costs(results: dict[str, Any]) -> None:
    first = results["models"]["first"]
    saved = (20 - 5) + (12 - 4) + 0 + (12 - 4)  # one of the third problem's had spent more than its finished one
    assert (first["tokens"], first["stopped_early"], first["tokens_saved"]) == (175, 2, saved)
    assert first["share_saved"] == pytest.approx(saved / (175 + saved))
    assert results["models"]["second"]["tokens_saved"] == 0


def test_selections_count_where_candidates_disagree(results: dict[str, Any]) -> None:
    split = results["disputed"]["first"]
    assert split["problems"] == 2
    assert split["oracle"]["mean"] == 1.0
    assert split["chance"]["mean"] == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert (split["majority"]["mean"], split["genselect"]["mean"], split["genselect_minus_majority"]["difference"]) == (0.5, 1.0, 0.5)
    assert results["disputed"]["second"] == {"problems": 0}


def test_models_are_compared_problem_by_problem(results: dict[str, Any]) -> None:
    found = results["compared"]["second - first"]
    assert found["difference"] == 0.5
    assert found["p_value"] == 0.5
    assert found["low"] <= 0.5 <= found["high"]


def test_every_interval_holds_its_mean(results: dict[str, Any]) -> None:
    def intervals(data: object) -> list[Mapping[str, float]]:
        if not isinstance(data, Mapping):
            return []
        return [data] if "low" in data else [found for value in data.values() for found in intervals(value)]

    found = intervals(results)
    assert len(found) > 15
    assert all(one["low"] <= one[next(name for name in ("mean", "difference") if name in one)] <= one["high"] for one in found)


def test_an_exam_that_is_all_wrong_scores_zero_with_an_honest_upper_end(tmp_path: Path) -> None:
    exam(tmp_path)
    write_exam(tmp_path, "first", [[3, 3, 4]] * 4, {"majority": [3] * 4})
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, examined=["first"])["models"]["first"]
    for found in (model["pass@1"], model["maj@3"], model["oracle"], model["vote_accuracy"]["majority"]):
        assert (found["mean"], found["low"]) == (0.0, 0.0)
        assert found["high"] == pytest.approx(1 - 0.025 ** (1 / 4))  # Clopper and Pearson's for 0 of 4
    assert model["selection_loss"] == 0.0


def test_an_exam_without_any_candidate_is_missing_where_it_counts_attempts_and_wrong_where_it_counts_problems(tmp_path: Path) -> None:
    exam(tmp_path)
    write_exam(tmp_path, "first", [[]] * 4, {"majority": [None] * 4})
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, examined=["first"])["models"]["first"]
    assert model["pass@1"] == model["maj@3"] == {"missing": 4}
    assert model["vote_accuracy"]["majority"]["mean"] == model["oracle"]["mean"] == 0.0
    assert (model["tokens"], model["share_saved"]) == (0, 0.0)


def test_without_a_majority_vote_nothing_is_compared_by_it(tmp_path: Path) -> None:
    exam(tmp_path)
    for model in ("first", "second"):
        write_exam(tmp_path, model, FIRST, {"weighted": [7, 3, 7, None]})
    small_files(tmp_path, {}, {}, curve=False)
    results = reported(tmp_path)
    assert results["compared"] == {}
    assert results["models"]["first"]["selection_loss"] is None
    assert results["disputed"]["first"]["genselect_minus_majority"] is None
