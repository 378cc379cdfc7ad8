"""What a judge is shown, how its verdict is read, and how judgements follow one another."""

import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core import rows
from components.core.types import Candidate, Judgement, Problem
from components.judge.plans import STRATEGY_WEIGHTS, Knockout, Repeated, SamplingStrategy, sample_candidates
from components.judge.stage import Judge, judge
from components.lib import genselect, genselect_sampling
from components.lib.answer_groups import group_by_answer
from components.lib.engine.config import EngineHosts, Engines
from tests.row_fixtures import candidate, problem, run

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("verdict", "wanted"),
    [
        ("Judgment: 0", 0),  # an index, not a failure
        ("Judgement: [3]", 3),
        ("judgment: 1\nno, wait\nJudgment: 2", 2),
        ("<think>\nJudgment: 1\n</think>\nJudgment: 0", 0),
        ("Judgment: 4", None),  # names none of those shown
        ("the second one", None),
    ],
)
def test_verdicts(verdict: str, wanted: int | None) -> None:
    assert genselect.parse(verdict, shown=4) == wanted


def test_equal_summaries_keep_numbers_of_their_own() -> None:
    asked = genselect.ask("genselect", "What?", ["same", "same"])
    assert "#0: same" in asked and "#1: same" in asked


def test_a_summary_leaves_the_thought_out_and_needs_exactly_one_box() -> None:
    shown = genselect.summary(candidate(7, runs=(run(),)))
    assert shown is not None and "Add." not in shown and "print(7)" in shown and "\\boxed{7}" in shown
    assert genselect.summary(candidate(7, text="</think>\\boxed{3} or \\boxed{7}")) is None
    assert genselect.summary(candidate(None)) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x" * 500 + "\n\nSo \\boxed{7}.", "So \\boxed{7}."),  # from the first blank line on
        ("x" * 500 + " \\boxed{7}" + "\n\nDone.", "x" * 83 + " \\boxed{7}\n\nDone."),  # which must not cut the box off
        ("\\boxed{7} " + "x" * 500, None),
    ],
)
def test_a_long_summary_is_cut_and_keeps_its_box(text: str, wanted: str | None) -> None:
    found = genselect.summary(candidate(7, text=f"<think></think>{text}"), 100)
    assert found == wanted and len(found or "") <= 100


# ---- repeated judgements ----------------------------------------------------------------------------------------------------------


def clusters(cast: Sequence[Candidate]) -> list[list[Candidate]]:
    return list(group_by_answer(cast).values())


def tries(answers: Sequence[int | None]) -> list[Candidate]:
    return [candidate(answer, index=index) for index, answer in enumerate(answers)]


@given(st.lists(st.integers(1, 5), min_size=2, max_size=40), st.integers(2, 16), st.sampled_from(list(STRATEGY_WEIGHTS)), st.integers(0, 9))
def test_every_cluster_is_shown_as_far_as_there_is_room(
    answers: list[int], max_shown: int, sampling_strategy: SamplingStrategy, seed: int
) -> None:
    groups = clusters(tries(answers))
    shown = sample_candidates(groups, max_shown, sampling_strategy, seed)
    assert len(shown) <= min(max_shown, len(answers))
    assert len({c.index for c in shown}) == len(shown)
    assert len({c.answer for c in shown}) == min(len(groups), max_shown)
    assert [c.index for c in sample_candidates(groups, max_shown, sampling_strategy, seed)] == [c.index for c in shown]


@pytest.mark.parametrize(
    ("sampling_strategy", "wanted"),
    [("linear", 16 * 13 / 33), ("sqrt", 16 * 13**0.5 / (13**0.5 + 2 * 10**0.5)), ("bayesian", 16 * 14 / 36)],
)
def test_places_are_shared_in_proportion_on_average(sampling_strategy: SamplingStrategy, wanted: float) -> None:
    groups = clusters(tries([1] * 13 + [2] * 10 + [3] * 10))
    num = [sum(c.answer == 1 for c in sample_candidates(groups, 16, sampling_strategy, seed)) for seed in range(2000)]
    assert sum(num) / len(num) == pytest.approx(wanted, abs=0.2)


def test_a_small_cluster_gets_more_room_by_the_root_than_in_proportion() -> None:
    groups = clusters(tries([1] * 27 + [2] * 3))

    def shown(sampling_strategy: SamplingStrategy) -> int:
        return sum(c.answer == 2 for seed in range(500) for c in sample_candidates(groups, 16, sampling_strategy, seed))

    assert shown("linear") < shown("bayesian") < shown("sqrt")


def test_judgements_of_a_problem_have_draws_and_orders_of_their_own() -> None:
    draw = Repeated(kind="repeated", num_judgements=8, max_shown=4, sampling_strategy="linear").draw(tries([1, 1, 1, 1, 2, 2, 3]), 0, "1/p")
    assert len({tuple(c.index for c in shown.candidates) for shown in draw.windows}) > 4
    assert len({shown.seed for shown in draw.windows}) == 8
    assert not draw.byes


def test_one_answer_is_not_read_by_either_plan() -> None:
    for plan in (Repeated(kind="repeated", num_judgements=2, max_shown=4, sampling_strategy="linear"), Knockout(kind="knockout", window=2)):
        assert plan.draw(tries([5, 5, 5, None]), 0, "1/p") == ([], [])


# ---- knockout ---------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=70), st.integers(2, 8), st.randoms(use_true_random=False))
def test_a_knockout_reads_everybody_once_a_round_and_ends_with_one_answer(answers: list[int], window: int, chance: Any) -> None:
    pool, plan = tries(answers), Knockout(kind="knockout", window=window)
    for round in itertools.count():
        draw = plan.draw(pool, round, "1/p")
        if not draw.windows and not draw.byes:
            break
        assert all(2 <= len(shown.candidates) <= window and len(clusters(shown.candidates)) > 1 for shown in draw.windows)
        seen = [c.index for shown in draw.windows for c in shown.candidates]
        assert len(seen) == len(set(seen)) and {*seen, *(c.index for c in draw.byes)} <= {c.index for c in pool}
        left = [*draw.byes, *(chance.choice(shown.candidates) for shown in draw.windows)]
        assert len(left) < len(pool)
        pool = left
    assert len({c.answer for c in pool}) == 1


# ---- the stage, on recorded verdicts ------------------------------------------------------------------------------------------------


class JudgedPool(NamedTuple):
    """What a judgement of the stage left."""

    metrics: dict[str, Any]
    made: list[Judgement]


def settings(**plan: object) -> Judge:
    whole = {"seed": 1, "prompt": "genselect", "engine": "scripted", "engine_by_format": {}, "plan": plan, "summary_chars": 3000}
    return Judge.model_validate({**whole, "max_tokens": 100, "temperature": 0.7, "num_concurrent": 3})


REPEATED = {"kind": "repeated", "num_judgements": 4, "max_shown": 4, "sampling_strategy": "linear"}


def judge_pool(home: Path, answers: dict[str, list[int | None]], reply: Callable[[int], str], **plan: object) -> JudgedPool:
    cast = [candidate(answer, name, index) for name, given in answers.items() for index, answer in enumerate(given)]
    replies = [{"key": f"{name}/judge/{number}", "reply": reply(number)} for name in answers for number in range(40)]
    (home / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replies), encoding="utf-8")
    rows.write(home / "candidates.parquet", cast, Candidate)
    rows.write(home / "problems.parquet", [problem(name) for name in answers], Problem)
    metrics = judge(
        settings(**plan), Engines.load(ROOT / "params.yaml"), EngineHosts.load(ROOT), candidates=home / "candidates.parquet",
        problems=home / "problems.parquet", model=home / "replies.jsonl", out=home / "out.parquet", work=home / "work",
    )  # fmt: skip
    shutil.rmtree(home / "work")  # as the runner does
    return JudgedPool(metrics, list(rows.read(home / "out.parquet", Judgement)))


def test_the_first_place_can_be_chosen_and_so_can_each_of_two_equal_texts(tmp_path: Path) -> None:
    """Candidates 0 and 1 have one text; places are told apart by number, never by text, and place 0 is a verdict."""
    first = judge_pool(tmp_path, {"p": [7, 7, 3]}, lambda number: "Judgment: 0", **REPEATED)
    second = judge_pool(tmp_path, {"p": [7, 7, 3]}, lambda number: "Judgement: [1]", **REPEATED)
    assert all(one.parsed == 0 and one.chosen == one.shown[0] for one in first.made)
    assert all(one.parsed == 1 and one.chosen == one.shown[1] for one in second.made)
    assert {one.chosen for one in (*first.made, *second.made)} == {0, 1, 2}


def test_a_verdict_that_names_nobody_is_kept_and_a_recorded_lot_chooses(tmp_path: Path) -> None:
    answers: dict[str, list[int | None]] = {f"p{i}": [7, 3, 5, None] for i in range(12)}
    once = judge_pool(tmp_path, answers, lambda number: f"hard to say {number}", **REPEATED)
    assert once.metrics["unparsed"] == once.metrics["judgements"] == len(once.made) == 48
    assert all(one.parsed is None and one.text == f"hard to say {one.index}" for one in once.made)
    assert {one.shown.index(one.chosen) for one in once.made} == {0, 1, 2}
    assert judge_pool(tmp_path, answers, lambda number: f"hard to say {number}", **REPEATED).made == once.made


def test_a_killed_reading_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """Judgements 0 to 2 were made before; another word on them would be heard in the rows."""
    whole = judge_pool(tmp_path, {"p": [7, 7, 3, 5]}, lambda number: "Judgment: 0", **REPEATED)
    with rows.JsonlWriter(tmp_path / "work" / "round-0.jsonl") as kept:
        for judgement in whole.made[:3]:
            kept.append(judgement)
    resumed = judge_pool(tmp_path, {"p": [7, 7, 3, 5]}, lambda number: f"Judgment: {int(number < 3)}", **REPEATED)
    assert resumed.made == whole.made


def test_what_a_reading_keeps_is_enough_to_draw_it_again(tmp_path: Path) -> None:
    answers: list[int | None] = [7, 7, 7, 3, 3, 5]
    for one in judge_pool(tmp_path, {"p": answers}, lambda number: "Judgment: 1", **REPEATED).made:
        assert tuple(c.index for c in sample_candidates(clusters(tries(answers)), 4, "linear", one.seed)) == one.shown
        assert one.answer == answers[one.chosen]


def test_problems_of_one_answer_bypass_the_model(tmp_path: Path) -> None:
    found = judge_pool(tmp_path, {"p": [7, 7, None], "q": [7, 3]}, lambda number: "Judgment: 0", **REPEATED)
    assert {one.problem for one in found.made} == {"q"}
    assert found.metrics["problems_unanimous"] == 1


def test_a_knockout_keeps_all_its_judgements_with_their_rounds(tmp_path: Path) -> None:
    found = judge_pool(tmp_path, {"p": [7, 3] * 10, "q": [7, 3]}, lambda number: "Judgment: 0", kind="knockout", window=4)
    of_p = [one for one in found.made if one.problem == "p"]
    assert [one.index for one in of_p] == list(range(len(of_p)))
    assert [one.round for one in of_p] == sorted(one.round for one in of_p)
    assert max(one.round for one in of_p) >= 1
    for one in of_p:
        if one.round:
            through = {earlier.chosen for earlier in of_p if earlier.round < one.round}
            lost = {index for earlier in of_p if earlier.round < one.round for index in earlier.shown} - through
            assert not set(one.shown) & lost
    assert [one.round for one in found.made if one.problem == "q"] == [0]
    last = [one.answer for one in of_p if one.round == of_p[-1].round]
    assert len(set(last)) == 1


# ---- the training set's sampler ------------------------------------------------------------------------------------------------------


def test_the_number_of_shown_solutions_is_cut_to_an_integer_and_not_rounded() -> None:
    """A normal of mean 3 and deviation 1/3 on [2, 4]: cutting gives 2 as often as 3, rounding would nearly always give 3."""
    draw = random.Random(1)
    sizes = [genselect_sampling._size(draw, 4) for _ in range(4000)]
    assert sizes.count(2) / 4000 == pytest.approx(0.5, abs=0.03)
    assert sizes.count(4) / 4000 < 0.01
