"""Clocks: traces as published, and no clock over the run's end in whatever order the hard problems come."""

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.lib.rules import length_model
from components.lib.rules.early_stopping import check
from components.lib.rules.tally import Tally
from components.lib.rules.time_budget import UNLIMITED_S, History, QuestionBudget, Speed, TimeBudget
from tests.row_fixtures import attempt, problem

CLOCK: TypeAdapter[TimeBudget] = TypeAdapter(TimeBudget)
PACES = [
    [300, 570, 10, 6, []],
    [345, 570, 12, 7, [[420, 5], [480, 4], [540, 3]]],
    [370, 660, 15, 8, [[480, 6], [540, 5], [600, 3]]],
    [420, 720, 16, 9, [[600, 5], [660, 4]]],
    [None, 720, 17, 10, []],
]
SPEED = {"kind": "speed", "exam_s": 17820, "paces": PACES, "start": 2, "begin_at": 30, "every": 2}
BUFFER = {"kind": "buffer", "exam_s": 17400, "base_s": 350, "cap_s": 210}
CLOCKS: dict[str, dict[str, Any]] = {
    "fixed": {"kind": "fixed", "exam_s": 17400, "question_s": 600},
    "equal": {"kind": "equal", "exam_s": 17400},
    "buffer": BUFFER,
    "cutoffs": {"kind": "cutoffs", "exam_s": 17400, "ends_s": [348.0 * n for n in range(1, 51)]},
    "speed": SPEED,
    "speed from the first question": {**SPEED, "begin_at": 0, "every": 1},
    "planned": {"kind": "planned", "exam_s": 17400, "planned_s": 348},
    "reserve": {"kind": "reserve", "exam_s": 17400, "reserve_s": 300, "low_s": 300, "high_s": 900},
    "tokens": {"kind": "tokens", "exam_s": 17400, "question_s": 400, "model": "length.json", "scale": 1.3, "low": 10500, "high": 13300},
}
ORDERS = ("hard first", "hard last", "hard in the middle", "shuffled", "all hard", "all easy")


def clock(settings: dict[str, Any]) -> TimeBudget:
    return CLOCK.validate_python(settings)


def simulate(by: TimeBudget, wanted: Sequence[float], between_s: float = 0.0) -> tuple[list[QuestionBudget], list[float]]:
    """A run in simulated time: each question takes what it wants, or its limit."""
    allowed: list[QuestionBudget] = []
    used: list[float] = []
    elapsed = 0.0
    for want in wanted:
        allowed.append(by.allow(History(len(wanted), elapsed, used, [a.limit_s for a in allowed], 8000.0)))
        used.append(min(want, allowed[-1].limit_s))
        elapsed += used[-1] + between_s
    return allowed, used


def order(name: str) -> list[float]:
    """Seconds that fifty questions want: twelve hard ones never end by themselves."""
    easy, hard = [90.0 + 7 * n for n in range(38)], [5000.0] * 12
    shuffled = easy + hard
    random.Random(7).shuffle(shuffled)
    return {
        "hard first": hard + easy,
        "hard last": easy + hard,
        "hard in the middle": easy[:19] + hard + easy[19:],
        "shuffled": shuffled,
        "all hard": [5000.0] * 50,
        "all easy": [60.0] * 50,
    }[name]


def test_the_published_trace_of_the_buffer_comes_out() -> None:
    allowed, _ = simulate(clock(BUFFER), [100, 560, 350, 350])
    assert [a.limit_s for a in allowed[:3]] == [350, 560, 390]


def test_no_more_than_the_cap_is_lent_from_what_was_saved_and_a_debt_is_paid_back() -> None:
    assert [a.limit_s for a in simulate(clock(BUFFER), [10, 10, 10, 10])[0]] == [350, 560, 560, 560]
    overdrawn = History(50, 450, [450.0], [350.0])  # the last question ended later than it should
    assert clock(BUFFER).allow(overdrawn).limit_s == 250


@pytest.mark.parametrize("name", CLOCKS)
@pytest.mark.parametrize("wanted", ORDERS)
@pytest.mark.parametrize("between_s", [0.0, 3.0])
def test_no_order_of_the_problems_takes_a_run_over_its_end(name: str, wanted: str, between_s: float) -> None:
    by = clock(CLOCKS[name])
    allowed, used = simulate(by, order(wanted), between_s)
    begun = [n for n, a in enumerate(allowed) if a.limit_s > 0]
    assert all(a.limit_s >= 0 for a in allowed)
    assert sum(used) + between_s * (max(begun) if begun else 0) <= by.exam_s + 1e-6


@pytest.mark.parametrize("name", ["equal", "buffer", "cutoffs", "planned", "reserve"])
def test_where_hard_problems_stand_first_the_last_question_still_gets_its_time(name: str) -> None:
    allowed, _ = simulate(clock(CLOCKS[name]), order("all hard"))
    assert allowed[-1].limit_s >= 240


def test_an_equal_split_gives_what_easy_questions_left_to_the_others() -> None:
    allowed, used = simulate(clock({"kind": "equal", "exam_s": 100}), [1, 90, 90, 90])
    assert [a.limit_s for a in allowed] == [25, 33, 33, 33]
    assert sum(used) == 100


def test_planned_time_hands_on_what_the_last_question_saved_or_overdrew() -> None:
    assert [a.limit_s for a in simulate(clock(CLOCKS["planned"]), [100, 5000, 5000, 5000])[0]] == [348, 596, 100, 596]


@pytest.mark.parametrize(("elapsed", "begun", "limit"), [(0, 0, 900), (5000, 10, 700), (16000, 40, 300), (17200, 49, 200), (17500, 49, 0)])
def test_the_reserve_is_clamped_on_both_sides_and_cut_by_the_end(elapsed: float, begun: int, limit: float) -> None:
    assert clock(CLOCKS["reserve"]).allow(History(50, elapsed, [elapsed / max(1, begun)] * begun, [900.0] * begun)).limit_s == limit


def test_a_question_is_over_at_its_own_cutoff_and_all_of_them_must_be_named() -> None:
    by = clock({"kind": "cutoffs", "exam_s": 100, "ends_s": [20, 50, 120]})
    assert [a.limit_s for a in simulate(by, [10, 90, 90])[0]] == [20, 40, 50]
    with pytest.raises(UserError, match="names 3 ends, but there are 4 questions"):
        by.allow(History(4, 0, [], []))
    with pytest.raises(ValidationError, match="must rise"):
        clock({"kind": "cutoffs", "exam_s": 100, "ends_s": [20, 20]})


@pytest.mark.parametrize(
    ("average", "place"), [(-50, 0), (299, 0), (300, 1), (344, 1), (345, 2), (369, 2), (370, 3), (419, 3), (420, 4), (9999, 4)]
)
def test_the_speed_class_follows_the_seconds_left_per_question(average: float, place: int) -> None:
    by = clock({**SPEED, "exam_s": 0.0})
    assert isinstance(by, Speed)
    assert by.pace(History(40, -10.0 * average, [400.0] * 30, [660.0] * 30)) == place


def test_past_the_end_the_fastest_class_holds_and_nothing_is_left_for_it() -> None:
    late = clock(SPEED).allow(History(50, 17900, [400.0] * 44, [660.0] * 44))
    assert (late.limit_s, late.candidates) == (0, 10)


def test_the_classes_act_from_the_question_that_the_settings_name() -> None:
    spent = History(50, 10 * 900.0, [900.0] * 10, [900.0] * 10)
    assert clock(SPEED).allow(spent).candidates == 15  # the original: normal until question 30, whatever was spent
    assert clock({**SPEED, "begin_at": 0}).allow(spent).candidates == 10


def test_a_class_holds_until_it_is_decided_anew() -> None:
    by = clock({**SPEED, "begin_at": 0, "every": 2})
    assert isinstance(by, Speed)
    first = History(50, 10 * 380.0, [380.0] * 10, [660.0] * 10)
    assert by.pace(first) == 2
    after = History(50, 10 * 380.0 + 3000, [*[380.0] * 10, 3000.0], [660.0] * 11)
    assert by.pace(after) == 2
    assert by.pace(History(50, 10 * 380.0 + 3400, [*[380.0] * 10, 3000.0, 400.0], [660.0] * 12)) == 0


def test_what_a_class_adds_to_the_stops_is_a_count_and_its_exits() -> None:
    allowed = clock({**SPEED, "start": 1, "begin_at": 50}).allow(History(50, 0, [], []))
    assert [stop.kind for stop in allowed.stops()] == ["count", "exits"]
    assert check(allowed.stops(), Tally.of([1, 2, 3, 4], [10, 20, 30, 480], 12)) is not None
    assert check(allowed.stops(), Tally.of([1, 2, 3, 4], [10, 20, 30, 470], 12)) is None
    assert QuestionBudget(350.0).stops() == []


@pytest.mark.parametrize(("predicted", "budget"), [(100, 10500), (9000, 11700), (50000, 13300)])
def test_the_token_budget_follows_the_expected_length_within_bounds(predicted: float, budget: int) -> None:
    assert clock(CLOCKS["tokens"]).allow(History(50, 0, [], [], predicted)).max_tokens == budget


def test_a_token_clock_without_an_expected_length_says_what_is_missing() -> None:
    with pytest.raises(UserError, match=r"train a length model into length\.json"):
        clock(CLOCKS["tokens"]).allow(History(50, 0, [], []))


def test_no_clock_is_no_limit() -> None:
    assert clock({"kind": "none"}).allow(History(1, 1e8, [], [])).limit_s == UNLIMITED_S


@pytest.mark.parametrize(
    "change", [{"start": 5}, {"every": 0}, {"paces": PACES[:2]}, {"paces": [PACES[1], PACES[0], PACES[4]]}, {"paces": []}]
)
def test_speed_classes_that_leave_a_gap_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        clock({**SPEED, **change})


def worded(seed: int, count: int) -> tuple[list[str], list[float]]:
    """Problems whose length depends on what they ask for, with noise."""
    rng = random.Random(seed)
    statements, tokens = [], []
    for _ in range(count):
        asks, base = rng.choice(
            [("Find the remainder of the sum", 3000), ("In how many ways can the tiles be coloured", 9000), ("What is", 800)]
        )
        thing, factor = rng.choice([("of a regular polygon", 1.5), ("of the first primes", 1.0), ("on a circle", 2.0)])
        statements.append(f"{asks} {thing} with {rng.randrange(3, 900)} and {rng.randrange(3, 900)}?")
        tokens.append(base * factor * rng.lognormvariate(0, 0.2))
    return statements, tokens


def test_the_length_model_beats_the_mean_on_problems_that_it_has_not_seen() -> None:
    model = length_model.fit(*worded(1, 200))
    statements, tokens = worded(2, 200)
    mean = sum(worded(1, 200)[1]) / 200
    by_model = sum(abs(model.predict(s) - t) for s, t in zip(statements, tokens, strict=True))
    by_mean = sum(abs(mean - t) for t in tokens)
    assert by_model < 0.4 * by_mean


def test_where_words_say_nothing_the_length_model_stays_near_the_middle() -> None:
    statements, tokens = worded(1, 200)
    random.Random(3).shuffle(tokens)
    guesses = [length_model.fit(statements, tokens).predict(statement) for statement in worded(2, 50)[0]]
    assert max(guesses) / min(guesses) < 1.6  # the lengths themselves differ twentyfold


def test_the_same_candidates_give_the_same_file_and_cancelled_attempts_teach_nothing(tmp_path: Path) -> None:
    statements, tokens = worded(1, 30)
    problems = [problem(f"p{n}", statement=statement) for n, statement in enumerate(statements)]
    stored = [attempt(f"p{n}", 0, num_tokens=round(length)) for n, length in enumerate(tokens)]
    cut = [attempt(f"p{n}", 1, None, num_tokens=1, finish_reason="cancelled") for n in range(30)]
    length_model.train(problems, stored).save(tmp_path / "a.json")
    length_model.train(problems, [*stored, *cut]).save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    loaded = length_model.LengthModel.load(tmp_path / "a.json")
    assert loaded == length_model.train(problems, stored)
    assert min(map(round, tokens)) <= loaded.predict("What is this?") <= max(map(round, tokens))


def test_a_length_model_is_trained_by_command(tmp_path: Path) -> None:
    statements, tokens = worded(1, 30)
    problems = [problem(f"p{n}", statement=statement) for n, statement in enumerate(statements)]
    candidates = [attempt(f"p{n}", 0, num_tokens=round(length)) for n, length in enumerate(tokens)]
    rows.write(tmp_path / "problems.parquet", problems, Problem)
    rows.write(tmp_path / "candidates.parquet", candidates, Candidate)
    files: list[str | Path] = []
    for flag, name in (("--problems", "problems.parquet"), ("--candidates", "candidates.parquet"), ("--out", "length.json")):
        files += [flag, tmp_path / name]
    subprocess.run([sys.executable, "-m", "components.lib.rules.length_model", *files], check=True)
    assert length_model.LengthModel.load(tmp_path / "length.json") == length_model.train(problems, candidates)


def test_a_missing_or_broken_length_model_and_too_few_problems_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no length model"):
        length_model.LengthModel.load(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(UserError, match="not a length model"):
        length_model.LengthModel.load(tmp_path / "broken.json")
    with pytest.raises(UserError, match="too few"):
        length_model.train([problem("a")], [attempt("a", 0)])
