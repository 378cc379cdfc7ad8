"""The report: numbers against ones made by hand, a page that runs nothing and asks nobody, and pieces that may be missing."""

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, CodeRun, Judgement, Problem, Support, Vote
from components.report.funnel import funnel
from components.report.stage import Report, report
from tests.making import candidate, judgement, problem, run

X = "cancelled"
"""An attempt that the early stop ended."""
Tries = Sequence[int | str | None]
GOLD = 7
FIRST: list[Tries] = [[7, 7, 3, X], [3, 3, 7, 7], [X, X, X, 7], []]
TOKENS = [[10, 20, 30, 5], [10, 10, 10, 10], [4, 50, 4, 12], []]
VOTED = {"majority": [7, 3, 7, None], "genselect": [7, 7, 7, None]}
SECOND: list[Tries] = [[7, 7, 7, None]] * 4
NASTY = "<script>alert(1)</script> {{ 7*7 }} {% raw %} </pre></details>"
MEASURED: dict[str, Any] = {
    "collect@exam": {"problems": 4, "dropped": 0, "reasons": {}, "repeats": 3, "other_class": 10},
    "collect@forum": {"topics": 5, "posts": 12, "posts_cut": 0, "dropped": 1, "reasons": {"topic empty": 1}},
    "extract": {"topics": 5, "problems": 3, "dropped": 2, "reasons": {"proof": 2}, "requests": 9, "tokens": 80, "without_answer": 0},
    "curate": {
        "read": {"generated": 1500, "exam": 4},
        "dropped": {"duplicate": {"generated": 20, "extracted": 2}, "contaminated": {"generated": 1}},
        "kept": {"generated": 1479},
        "written": {"train": 1300, "practice": 179, "exam": 4, "dropped": 23, "suspects": 99},
    },
    "compose@cot": {"rows": 1100, "dropped": {"wrong answer": 90}},
    "train@first": {
        "rows": 1100, "too_long": 3, "tokens": 64000, "loss_tokens": 40000, "steps": 275, "loss_first": 5.1, "loss_last": 0.21,
    },
    "solve@exam-first": {
        "engine": f"transformers {NASTY}", "isolation": "confined", "problems": 4, "candidates": 12, "finished": 8, "tokens": 175,
        "questions_stopped_early": 2, "right_per_finished": 0.6, "ended": {"stop": 8, "cancelled": 4}, "abstained": {"no box": 1},
        "cells": {"ok": 9, "error": 1},
    },
    "judge@first": {
        "problems_read": 2, "problems_of_one_answer": 1, "readings": 8, "unparsed": 1, "right": 6, "right_by_chance": 4.5,
        "chosen_by_position": {"0": 4, "1": 3},
    },
    "quantize@second": {
        "bytes_before": 3023360, "bytes_after": 1204224, "ratio": 0.3983, "kl": 0.0412, "top1": 0.9312, "kl_rounding": 0.0703,
        "top1_rounding": 0.91,
    },
}  # fmt: skip
HOLDS = {"suite": "problems", "expectation": "expect_column_values_to_be_unique", "column": "id", "severity": "critical", "success": True,
         "rows": 4, "unexpected": 0, "first": []}  # fmt: skip
VALIDATED = {
    "problems": {
        "data": "data/problems",
        "passed": True,
        "expectations": [
            HOLDS,
            {**HOLDS, "column": "wording", "severity": "warning", "success": False, "unexpected": 2, "first": ["p1", NASTY]},
        ],
    }
}
CONFIG = {"models": ["first", "second"], "ks": [3], "compare": [["first", "second"]], "problems_shown": 40, "confidence": 0.95,
          "resamples": 500, "seed": 1}  # fmt: skip


def exam(root: Path, statement: str = "What is 3 + 4?") -> list[Problem]:
    made = [problem(f"p{number}", GOLD, statement) for number in range(4)]
    rows.write(root / "problems/exam.parquet", made, Problem)
    return made


def sat(
    root: Path, model: str, tries: Sequence[Tries], voted: Mapping[str, Sequence[int | None]],
    tokens: Sequence[Sequence[int]] | None = None, cells: tuple[CodeRun, ...] = (), **fields: object,
) -> None:  # fmt: skip
    """One model's exam: its attempts per problem, and what each strategy answered."""
    made = []
    for number, attempts in enumerate(tries):
        for index, answer in enumerate(attempts):
            cancelled = {"ended": "cancelled", "rank": None, "abstained": "cancelled"} if answer == X else {}
            spent = {"num_tokens": tokens[number][index]} if tokens else {}
            right = None if answer == X else answer
            made.append(candidate(right, f"p{number}", index, runs=cells, **cancelled, **spent, **fields))  # type: ignore[arg-type]
    rows.write(root / f"runs/exam-{model}/candidates.parquet", made, Candidate)
    rows.write(root / f"runs/exam-{model}/judgements.parquet", [judgement(2, "p0", shown=(2, 0))], Judgement)
    votes = [
        Vote(problem=f"p{number}", strategy=strategy, answer=answer, fallback=False, gold=GOLD, correct=answer == GOLD,
             support=() if answer is None else (Support(answer=answer, weight=2.0, candidates=(0,)),))
        for number in range(len(tries)) for strategy, answer in ((name, answers[number]) for name, answers in voted.items())
    ]  # fmt: skip
    rows.write(root / f"runs/exam-{model}/votes.parquet", votes, Vote)


def small_files(root: Path, measured: Mapping[str, Any], validated: Mapping[str, Any], curve: bool) -> None:
    for folder, files in (("metrics", measured), ("validation", validated)):
        (root / folder).mkdir(parents=True)
        for name, data in files.items():
            (root / folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    (root / "losses").mkdir()
    if curve:
        (root / "losses/first.csv").write_text("step,loss,lr,grad_norm\n1,2.5,0.1,1.0\n2,1.5,0.05,1.0\n", encoding="utf-8")


def workspace(root: Path) -> Path:
    exam(root)
    sat(root, "first", FIRST, VOTED, TOKENS)
    sat(root, "second", SECOND, dict.fromkeys(VOTED, [7] * 4))
    small_files(root, MEASURED, VALIDATED, curve=True)
    return root


def reported(root: Path, **over: object) -> dict[str, Any]:
    config = Report.model_validate({**CONFIG, **over})
    return report(
        config, runs=root / "runs", problems=root / "problems", validation=root / "validation", measured=root / "metrics",
        losses=root / "losses", page=root / "index.html", plots=root / "plots",
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def results(root: Path) -> dict[str, Any]:
    return reported(root)


@pytest.fixture(scope="module")
def page(root: Path, results: dict[str, Any]) -> str:
    return (root / "index.html").read_text(encoding="utf-8")


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
    assert (first["any"]["mean"], first["voted"]["majority"]["mean"], first["selection_loss"]) == (0.75, 0.5, 0.25)
    assert first["voted"]["genselect"]["mean"] == 0.75
    assert (first["problems"], first["candidates"], first["finished"]) == (4, 12, 8)


def test_a_fallback_is_no_answer_even_where_it_is_the_right_number(tmp_path: Path) -> None:
    exam(tmp_path)
    sat(tmp_path, "first", [[]] * 4, {"majority": [None] * 4})
    cast = [Vote(problem=f"p{i}", strategy="majority", answer=GOLD, fallback=True, gold=GOLD, correct=False, support=()) for i in range(4)]
    rows.write(tmp_path / "runs/exam-first/votes.parquet", cast, Vote)
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, models=["first"], compare=[])["models"]["first"]
    assert (model["voted"]["majority"]["mean"], model["unanswered"]) == (0.0, {"majority": 4})
    assert f"none ({GOLD} as fallback)" in Tags((tmp_path / "index.html").read_text(encoding="utf-8")).text


def test_a_cancelled_attempt_saves_what_a_finished_one_of_its_problem_costs(results: dict[str, Any]) -> None:
    first = results["models"]["first"]
    saved = (20 - 5) + (12 - 4) + 0 + (12 - 4)  # one of the third problem's had spent more than its finished one
    assert (first["tokens"], first["stopped_early"], first["tokens_saved"]) == (175, 2, saved)
    assert first["share_saved"] == pytest.approx(saved / (175 + saved))
    assert results["models"]["second"]["tokens_saved"] == 0


def test_selections_count_where_candidates_disagree(results: dict[str, Any]) -> None:
    split = results["selections"]["first"]
    assert split["problems"] == 2
    assert split["any"]["mean"] == 1.0
    assert split["chance"]["mean"] == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert (split["majority"]["mean"], split["genselect"]["mean"], split["genselect_minus_majority"]["difference"]) == (0.5, 1.0, 0.5)
    assert results["selections"]["second"] == {"problems": 0}


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
    sat(tmp_path, "first", [[3, 3, 4]] * 4, {"majority": [3] * 4})
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, models=["first"], compare=[])["models"]["first"]
    for found in (model["pass@1"], model["maj@3"], model["any"], model["voted"]["majority"]):
        assert (found["mean"], found["low"]) == (0.0, 0.0)
        assert found["high"] == pytest.approx(1 - 0.025 ** (1 / 4))  # Clopper and Pearson's for 0 of 4
    assert model["selection_loss"] == 0.0


def test_an_exam_without_any_candidate_is_missing_where_it_counts_attempts_and_wrong_where_it_counts_problems(tmp_path: Path) -> None:
    exam(tmp_path)
    sat(tmp_path, "first", [[]] * 4, {"majority": [None] * 4})
    small_files(tmp_path, {}, {}, curve=False)
    model = reported(tmp_path, models=["first"], compare=[])["models"]["first"]
    assert model["pass@1"] == model["maj@3"] == {"missing": 4}
    assert model["voted"]["majority"]["mean"] == model["any"]["mean"] == 0.0
    assert (model["tokens"], model["share_saved"]) == (0, 0.0)


class Tags(HTMLParser):
    """All tags of a page with their attributes, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_asks_nobody(page: str) -> None:
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page
    assert "url(http" not in page
    for tag, attributes in Tags(page).tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        assert all((attributes.get(name) or "#").startswith("#") for name in ("href", "xlink:href"))


def test_what_models_and_sources_wrote_is_text(tmp_path: Path) -> None:
    exam(tmp_path, NASTY)
    sat(tmp_path, "first", [[7, 3]] * 4, {"majority": [7] * 4}, text=NASTY)
    block = f"</tool_call>\n```output\n{NASTY}\n```\n"
    sat(tmp_path, "second", [[7]] * 4, {"majority": [7] * 4}, text=f"<tool_call>\n1{block}", cells=(run("1", NASTY),))
    small_files(tmp_path, MEASURED, VALIDATED, curve=False)
    reported(tmp_path, ks=[1])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    read = Tags(page)
    assert not {tag for tag, _ in read.tags} & {"script"}
    assert "<script" not in page
    statements, candidates, outputs, engine, first_ids = 4, 8, 4, 1, 1
    assert read.text.count(NASTY) == statements + candidates + outputs + engine + first_ids
    opened = [tag for tag, _ in read.tags]
    assert page.count("</pre>") == opened.count("pre")
    assert page.count("</details>") == opened.count("details")


def test_the_page_tells_what_the_stages_measured(page: str) -> None:
    text = Tags(page).text.replace("\u00a0", " ")
    for told in (
        "3.02 MB",
        "1.2 MB",
        "0.398",
        "0.0412",
        "0.0703",
        "1 of 2 expectations hold",
        "values to be unique",
        "8 stop, 4 cancelled",
    ):
        assert told in text, told


def test_the_funnel_goes_the_way_of_the_data() -> None:
    steps = {step.stage: step for step in funnel(dict(sorted(MEASURED.items())))}
    assert list(steps) == ["collect@exam", "collect@forum", "extract", "curate", "compose@cot"]
    assert steps["collect@exam"][1:] == ({"drawn": 17}, {"other class": 10, "repeats": 3}, {"problems": 4})
    assert steps["collect@forum"][1:] == ({"rows": 6}, {"topic empty": 1}, {"topics": 5})
    assert steps["extract"][1:] == ({"topics": 5}, {"proof": 2}, {"problems": 3})
    assert steps["curate"].dropped == {"duplicate": 22, "contaminated": 1}
    assert steps["curate"].written == {"train": 1300, "practice": 179, "exam": 4}
    assert steps["compose@cot"][1:] == ({"rows": 1190}, {"wrong answer": 90}, {"rows": 1100})


def test_the_same_inputs_give_the_same_bytes(root: Path, page: str, tmp_path: Path) -> None:
    again = workspace(tmp_path)
    reported(again)
    assert (again / "index.html").read_text(encoding="utf-8") == page
    assert (again / "plots/accuracy.csv").read_bytes() == (root / "plots/accuracy.csv").read_bytes()


@pytest.mark.parametrize("lost", ["metrics/solve@exam-first.json", "metrics/curate.json", "validation/problems.json", "losses/first.csv"])
def test_a_small_file_that_is_missing_leaves_its_table_out(lost: str, tmp_path: Path) -> None:
    exam(tmp_path)
    sat(tmp_path, "first", FIRST, VOTED)
    small_files(tmp_path, MEASURED, VALIDATED, curve=True)
    (tmp_path / lost).unlink()
    reported(tmp_path, models=["first"], compare=[], resamples=50)
    assert "Accuracy by model" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_without_a_majority_vote_nothing_is_compared_by_it(tmp_path: Path) -> None:
    exam(tmp_path)
    for model in ("first", "second"):
        sat(tmp_path, model, FIRST, {"weighted": [7, 3, 7, None]})
    small_files(tmp_path, {}, {}, curve=False)
    results = reported(tmp_path)
    assert results["compared"] == {}
    assert results["models"]["first"]["selection_loss"] is None
    assert results["selections"]["first"]["genselect_minus_majority"] is None


def test_what_does_not_fit_the_exam_is_refused(tmp_path: Path) -> None:
    exam(tmp_path)
    sat(tmp_path, "first", [*FIRST, [7]], {"majority": [7] * 5})
    small_files(tmp_path, {}, {}, curve=False)
    alone = {"models": ["first"], "compare": []}
    with pytest.raises(UserError, match=r"exam-first.candidates\.parquet: problem 'p4' is not in the exam; `dvc repro`"):
        reported(tmp_path, **alone)
    sat(tmp_path, "first", FIRST[:3], {"majority": [7] * 3})
    with pytest.raises(UserError, match=r"votes\.parquet: no vote by majority on problem 'p3'"):
        reported(tmp_path, **alone)
    with pytest.raises(UserError, match=r"report\.compare: no model 'frst', did you mean 'first'\?; report\.models has: first"):
        reported(tmp_path, models=["first"], compare=[["first", "frst"]])
    with pytest.raises(UserError, match=r"exam-third.candidates\.parquet: no such file"):
        reported(tmp_path, models=["third"], compare=[])
    rows.write(tmp_path / "problems/exam.parquet", [], Problem)
    with pytest.raises(UserError, match=r"exam\.parquet: holds no problem; see collect\.exam"):
        reported(tmp_path, **alone)
