"""Replay against a plain loop that asks the rules event by event as a live sitting does; measures against numbers made by hand."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.types import Candidate, Problem
from components.lib import statistics
from components.lib.rules import length_model
from components.lib.rules.clocks import Allowance, History
from components.lib.rules.stops import now
from components.lib.rules.tally import Tally
from components.replay import draws, measures, pool
from components.replay.pool import Attempts
from components.replay.pools import aimo1_runs, qwen_math
from components.replay.recipe import Recipe, not_replayed
from components.replay.replaying import Outcome, replayed
from components.replay.stage import Replay, ordered, replay
from components.replay.voices import STRATEGIES
from tests.making import problem, votes
from tests.pools import attempt

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
PLAIN: dict[str, Any] = {"plan": {"any": 6}, "max_tokens": None, "stop": [], "clock": None, "vote": "majority"}
AGREE = {"kind": "agree", "of_first": 5, "equal": 4}
SPEED = {
    "kind": "speed", "sitting_s": 300, "start": 1, "begin_at": 1, "every": 1,
    "paces": [[45, 40, 3, 2, []], [70, 60, 5, 3, [[30, 2]]], [None, 90, 6, 4, []]],
}  # fmt: skip
RECIPES: dict[str, dict[str, Any]] = {
    "no stop": PLAIN,
    "agree": {**PLAIN, "stop": [AGREE]},
    "stragglers": {**PLAIN, "stop": [{"kind": "stragglers", "finished": 4}]},
    "weighted, larger wins": {**PLAIN, "stop": [{"kind": "identical", "equal": 2}], "vote": "weighted"},
    "given up": {**PLAIN, "stop": [{"kind": "diverged", "finished": 4, "distinct": 3}, {"kind": "unreachable"}]},
    "entropy": {**PLAIN, "vote": "inverse_entropy"},
    "prompts": {**PLAIN, "plan": {"tir": 2, "cot": 3, "any": 1}},
    "short": {**PLAIN, "max_tokens": 400, "stop": [AGREE]},
    "equal clock": {**PLAIN, "clock": {"kind": "equal", "sitting_s": 250}, "stop": [{"kind": "count", "answers": 4}]},
    "buffer clock": {**PLAIN, "clock": {"kind": "buffer", "sitting_s": 300, "base_s": 40, "cap_s": 20}, "stop": [AGREE]},
    "speed clock": {**PLAIN, "clock": SPEED},
    "reserve clock": {**PLAIN, "clock": {"kind": "reserve", "sitting_s": 200, "reserve_s": 30, "low_s": 20, "high_s": 70}},
}
DRAWS = 25
NUMBERS = votes()


def recipe(settings: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(settings)


def small_pool(num_problems: int = 7, num_attempts: int = 10) -> list[Attempts]:
    """Attempts that disagree, abstain, take different times and end at the same moment now and then."""
    rng, found = random.Random(5), []
    for number in range(num_problems):
        name, luck = f"p{number}", rng.random()
        stored = [
            attempt(
                name,
                index,
                rng.choice([None, 7 if rng.random() < luck else 100, 3, 210, 7]),
                mode=("tir", "cot")[index % 2],
                num_tokens=rng.randrange(50, 900),
                seconds=float(rng.randrange(1, 100)),
                entropies=(round(rng.uniform(0.05, 1.0), 3),),
            )
            for index in range(num_attempts)
        ]
        found.append(pool.attempts(problem(name), stored, list(STRATEGIES), NUMBERS, Path("problems")))
    return found


class Sat(NamedTuple):
    """What a plain loop says of one question."""

    right: bool
    reached: bool
    passed: bool
    tokens: float
    seconds: float
    stopped: bool
    given_up: bool


class Event(NamedTuple):
    answer: int | None
    at_s: float
    tokens: int
    weight: float


def live(events: Sequence[Event], by: Recipe, allowed: Allowance) -> Sat:
    """A question as a live sitting plays it: one event after the other, the rules asked after each."""
    finished: list[Event] = []
    ended, end = None, min(events[-1].at_s, allowed.limit_s)
    for event in events:
        if event.at_s > allowed.limit_s or allowed.limit_s <= 0:
            break
        finished.append(event)
        tally = Tally.of([e.answer for e in finished], [e.at_s for e in finished], len(events))
        ended = now([*by.stop, *allowed.stops()], tally)
        if ended is not None:
            end = event.at_s
            break
    support: dict[int, float] = defaultdict(float)
    for event in finished:
        if event.answer is not None:
            support[event.answer] += event.weight
    best = max(support.values(), default=0.0)
    leading = [answer for answer, weight in support.items() if abs(weight - best) < 1e-9]
    voted = (max(leading) if STRATEGIES[by.vote].larger_wins else leading[0]) if leading and best > 0 else None
    lost = ended is not None and ended.given_up
    running = events[len(finished) :]
    return Sat(
        right=voted == 7 and not lost,
        reached=any(event.answer == 7 for event in finished),
        passed=any(event.answer == 7 for event in events),
        tokens=sum(e.tokens for e in finished) + sum(e.tokens * min(1.0, end / e.at_s) for e in running),
        seconds=end,
        stopped=ended is not None,
        given_up=lost,
    )


def drawn_events(attempts: Attempts, by: Recipe, draw: int, at_most: int | None) -> list[Event]:
    """One draw's attempts, found without the replay's arrays of draws: the smallest lots, then sorted by time."""
    assert isinstance(by.plan, dict)
    lots = draws.lots(attempts, DRAWS, seed=3)[draw]
    places, taken = sorted(range(len(attempts.keys)), key=lambda place: lots[attempts.keys[place]]), []
    for mode in sorted(by.plan, key=lambda mode: mode == "any"):
        fits = [place for place in places if place not in taken and mode in ("any", attempts.modes[place])]
        taken += fits[: by.plan[mode]]
    taken = sorted(taken, key=places.index)[:at_most]
    events = []
    for place in taken:
        tokens, at_s, answer = int(attempts.tokens[place]), float(attempts.at_s[place]), int(attempts.answers[place])
        if by.max_tokens is not None and tokens > by.max_tokens:
            tokens, at_s, answer = by.max_tokens, at_s * by.max_tokens / tokens, -1
        weight = float(attempts.votes[by.vote].weights[place, 0])
        events.append((at_s, int(attempts.keys[place]), Event(None if answer < 0 else answer, at_s, tokens, weight)))
    return [event for _, _, event in sorted(events, key=lambda entry: entry[:2])]


@pytest.mark.parametrize("name", RECIPES)
def test_a_replay_is_what_a_live_sitting_would_have_done_with_the_same_attempts(name: str) -> None:
    problems, by = small_pool(), recipe(RECIPES[name])
    outcome = replayed(problems, {name: by}, DRAWS, seed=3)[name]
    for draw in range(DRAWS):
        used: list[float] = []
        limits: list[float] = []
        for number, attempts in enumerate(problems):
            history = History(len(problems), sum(used), used, limits)
            allowed = by.clock.allow(history) if by.clock else Allowance(float("inf"))
            sat = live(drawn_events(attempts, by, draw, allowed.candidates), by, allowed)
            found = [float(field[number, draw]) for field in outcome]
            assert found == pytest.approx([float(value) for value in sat]), (number, draw, Outcome._fields)
            used.append(sat.seconds)
            limits.append(allowed.limit_s)


def test_the_recipes_of_this_test_reach_every_way_in_which_a_question_can_end() -> None:
    outcomes = replayed(small_pool(), {name: recipe(settings) for name, settings in RECIPES.items()}, DRAWS, seed=3)
    assert outcomes["given up"].given_up.any() and not outcomes["given up"].given_up.all()
    assert (outcomes["agree"].stopped == 1).any() and (outcomes["agree"].stopped == 0).any()
    assert outcomes["reserve clock"].seconds.sum(0).max() <= 200
    assert (outcomes["reserve clock"].reached < outcomes["reserve clock"].passed).any()
    assert (outcomes["weighted, larger wins"].right != outcomes["no stop"].right).any()


def test_recipes_see_the_same_draws_whoever_stands_beside_them_and_a_longer_plan_holds_the_shorter() -> None:
    problems = small_pool()
    alone = replayed(problems, {"agree": recipe(RECIPES["agree"])}, DRAWS, seed=3)["agree"]
    beside = replayed(problems, {name: recipe(RECIPES[name]) for name in ("no stop", "speed clock", "agree")}, DRAWS, seed=3)["agree"]
    assert all((a == b).all() for a, b in zip(alone, beside, strict=True))
    numbers = draws.lots(problems[0], DRAWS, seed=3)
    few, many = (draws.drawn(problems[0], {"any": count}, numbers, None) for count in (3, 6))
    assert all(set(short) < set(long) for short, long in zip(few.tolist(), many.tolist(), strict=True))


def test_a_token_clock_cuts_attempts_to_the_length_that_the_statement_lets_expect(tmp_path: Path) -> None:
    statements = [f"Count the {'tiles of a long wall' if n % 2 else 'cups'} {n}" for n in range(20)]
    length_model.fit(statements, [800.0 if n % 2 else 100.0 for n in range(20)]).save(tmp_path / "length.json")
    problems = [a._replace(problem=problem(a.problem.id, statement=statements[n])) for n, a in enumerate(small_pool(2))]
    clock = {
        "kind": "tokens",
        "sitting_s": 9000,
        "question_s": 900,
        "model": str(tmp_path / "length.json"),
        "scale": 1,
        "low": 1,
        "high": 5000,
    }
    by_clock = replayed(problems, {"t": recipe({**PLAIN, "clock": clock})}, DRAWS, seed=3)["t"].tokens
    whole = replayed(problems, {"w": recipe(PLAIN)}, DRAWS, seed=3)["w"].tokens
    assert by_clock[0].max() <= 6 * 250 and (by_clock[0] < whole[0]).all()
    assert by_clock[1].mean() > 0.7 * whole[1].mean()


# ---- measures -----------------------------------------------------------------------------------------------------------------------


def outcome_of(right: Any, tokens: float = 100.0) -> Outcome:
    zeros = np.zeros_like(right)
    return Outcome(right, right, right, zeros + tokens, zeros, zeros, zeros)


@pytest.mark.parametrize(
    ("counts", "rho"),
    [
        ([(8, 8), (0, 8)], 1.0),  # solved by all or by none
        ([(4, 8), (4, 8)], (4 * 3 / 56 - 0.25) / 0.25),  # as unlike as can be: a little below 0
        ([(2, 2), (1, 2), (1, 2), (0, 2)], 0.0),  # what two independent tosses give on average
        ([(6, 8), (2, 8)], ((30 + 2) / 56 / 2 - 0.25) / 0.25),
        ([(8, 8), (8, 8)], None),
        ([(0, 8)], None),
        ([(8, 8), (0, 8), (1, 1)], 1.0),  # one attempt says nothing about two
    ],
)
def test_rho_is_how_much_more_often_than_by_chance_two_attempts_are_right_together(
    counts: list[tuple[int, int]], rho: float | None
) -> None:
    assert measures.rho(counts) == pytest.approx(rho)


@pytest.mark.parametrize(("n", "rho", "worth"), [(8, 0.0, 8), (8, 1.0, 1), (9, 0.5, 1.8), (64, 0.25, 64 / 16.75), (8, -0.1, 8)])
def test_alike_attempts_are_worth_fewer_independent_ones(n: int, rho: float, worth: float) -> None:
    assert measures.effective(n, rho) == pytest.approx(worth)


def test_independent_attempts_show_no_correlation() -> None:
    rng = np.random.default_rng(4)
    counts = [(int(right), 64) for right in rng.binomial(64, 0.4, 4000)]
    assert abs(measures.rho(counts) or 0.0) < 0.005


def test_halves_share_no_problem_and_no_group() -> None:
    groups = {f"p{n}": f"g{n % 9}" for n in range(40)}
    for seed in range(20):
        first, second = measures.halves(groups, seed)
        assert first and second and not first & second and first | second == set(groups)
        assert not {groups[name] for name in first} & {groups[name] for name in second}


def test_the_best_recipe_is_chosen_on_one_half_and_told_by_the_other() -> None:
    problems = small_pool(8)
    first, _ = measures.halves(measures.groups_of(problems), seed=1)
    inside = np.array([[float(a.problem.id in first)] for a in problems])
    outcomes = {"good on the first": outcome_of(inside), "good on the second": outcome_of(1 - inside), "dear": outcome_of(inside, 900.0)}
    found = measures.held_out(outcomes, problems, measures.Precision(0.95, 200, 1))
    assert [half["recipe"] for half in found] == ["good on the first", "good on the second"]
    assert all(half["chosen_on"]["accuracy"] == 1 and half["reported_on"]["accuracy"]["mean"] == 0 for half in found)
    assert {half["chosen_on"]["problems"] + half["reported_on"]["problems"] for half in found} == {8}


def test_problems_of_one_group_count_once_and_widen_the_interval() -> None:
    precision = measures.Precision(0.95, 2000, 1)
    values = {f"p{n}": float(n >= 15) for n in range(30)}
    alone = measures.over(values, {name: name for name in values}, precision)
    grouped = measures.over(values, {name: str(int(name[1:]) // 5) for name in values}, precision)
    assert alone["mean"] == grouped["mean"] == 0.5
    assert grouped["high"] - grouped["low"] > 1.5 * (alone["high"] - alone["low"])


def test_drawing_the_whole_pool_reaches_the_pools_own_exact_numbers_and_the_loss_is_split_without_rest() -> None:
    problems, precision = small_pool(), measures.Precision(0.95, 500, 1)
    own = measures.of_pool(problems, [1, 6, 10, 11], precision)
    assert list(own["at"]) == [1, 6, 10]  # nobody has 11
    by = {"six": recipe(PLAIN), "whole": recipe({**PLAIN, "plan": {"any": 10}}), "one": recipe({**PLAIN, "plan": {"any": 1}})}
    found = {name: measures.of_recipe(outcome, problems, precision) for name, outcome in replayed(problems, by, 4000, 3).items()}
    assert found["whole"]["pass"]["mean"] == pytest.approx(own["at"][10]["pass"]["mean"])
    assert found["one"]["accuracy"]["mean"] == pytest.approx(own["average"]["mean"], abs=0.01)
    assert found["six"]["pass"]["mean"] == pytest.approx(own["at"][6]["pass"]["mean"], abs=0.01)
    assert found["six"]["selection_loss"]["mean"] == pytest.approx(found["six"]["lost_by_stop"] + found["six"]["lost_by_vote"])
    gold = [statistics.pass_at(len(a.answers), int((a.answers == 7).sum()), 6) for a in problems]
    assert own["at"][6]["pass"]["mean"] == pytest.approx(sum(gold) / len(gold))


# ---- the stage ----------------------------------------------------------------------------------------------------------------------


def config(recipes: dict[str, dict[str, Any]], **fields: Any) -> Replay:
    given = {"draws": 50, "seed": 1, "order": "as_stored", "ks": [1, 4], "confidence": 0.95, "resamples": 200, "recipes": recipes}
    return Replay.model_validate({**given, **fields})


def stored(tmp_path: Path, candidates: Sequence[Candidate], names: Sequence[str] = ("a", "b", "c")) -> tuple[Path, Path]:
    rows.write(tmp_path / "candidates.parquet", candidates, Candidate)
    rows.write(tmp_path / "problems.parquet", [problem(name) for name in names], Problem)
    return tmp_path / "candidates.parquet", tmp_path / "problems.parquet"


def six(name: str, answers: Sequence[int | None], **fields: object) -> list[Candidate]:
    return [attempt(name, index, answer, seconds=float(index + 1), **fields) for index, answer in enumerate(answers)]


TWO = [*six("a", [7, 7, 7, 7, 3, None]), *six("b", [3, 7, 3, 7, 5, 6])]


def test_the_stage_tells_every_recipe_and_why_one_cannot_be_replayed(tmp_path: Path) -> None:
    candidates, problems = stored(tmp_path, [attempt("a", 6, None, ended="cancelled"), *TWO])
    recipes = {
        "first": PLAIN,
        "agree": RECIPES["agree"],
        "branches": {**PLAIN, "plan": "branch"},
        "too many": {**PLAIN, "plan": {"any": 7}},
        "other prompt": {**PLAIN, "plan": {"tir": 1}},
        "entropy": RECIPES["entropy"],
        "reader": {**PLAIN, "vote": "genselect"},
    }
    results = replay(config(recipes), NUMBERS, candidates=candidates, problems=problems, page=tmp_path / "page.html")
    told = {name: row["not_replayed"] for name, row in results["recipes"].items() if "not_replayed" in row}
    assert list(results["recipes"]) == list(recipes)
    assert "plan 'branch' generates differently" in told["branches"]
    assert "too few attempts on 2 of the pool's 2 problems (first: a)" in told["too many"] and "1 tir" in told["other prompt"]
    assert "no entropies" in told["entropy"] and "weigh each candidate alone" in told["reader"]
    assert results["recipes"]["first"]["accuracy"]["mean"] == 0.5  # of the tie in b the answer that was first, 3, wins
    assert results["recipes"]["agree"]["seconds"]["mean"] == 5.0  # 4 s and 6 s
    assert results["recipes"]["agree"]["tokens"]["mean"] == pytest.approx((40 + 10 * (4 / 5 + 4 / 6) + 60) / 2)
    assert (results["pool"]["cancelled_left_out"], results["pool"]["problems_without_attempts"]) == (1, 1)
    page = (tmp_path / "page.html").read_text()
    assert "generates differently" in page and "1 attempts (7.7 %) were cancelled" in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_the_same_pool_gives_the_same_page(tmp_path: Path) -> None:
    candidates, problems = stored(tmp_path, TWO)
    asked = config({"first": PLAIN, "agree": RECIPES["agree"], "clock": RECIPES["equal clock"]})
    told = [replay(asked, NUMBERS, candidates=candidates, problems=problems, page=tmp_path / f"{n}.html") for n in range(2)]
    assert told[0] == told[1]
    assert (tmp_path / "0.html").read_bytes() == (tmp_path / "1.html").read_bytes()


def test_under_a_clock_it_matters_whether_the_hard_problems_stand_first() -> None:
    easy, hard = six("easy", [7] * 6), [c.model_copy(update={"seconds": 50.0 + c.index}) for c in six("hard", [None] * 5 + [7])]
    problems = [pool.attempts(problem(cs[0].problem), cs, ["majority"], NUMBERS, Path("p")) for cs in (easy, hard)]
    assert [a.problem.id for a in ordered(problems, "hard_first")] == ["hard", "easy"]
    by = {"c": recipe({**PLAIN, "clock": {"kind": "fixed", "sitting_s": 54, "question_s": 54}})}
    right = {order: replayed(ordered(problems, order), by, 5, 1)["c"].right.mean() for order in ("hard_first", "hard_last")}
    assert right == {"hard_first": 0.0, "hard_last": 0.5}


@pytest.mark.parametrize(
    ("candidates", "told"),
    [
        ([], "holds no finished attempt"),
        ([attempt("a", 0, None, ended="cancelled")], "holds no finished attempt"),
        ([attempt("x", 0)], "problem 'x' is not in"),
        ([attempt("a", 0), attempt("b", 0), attempt("a", 1)], "problem 'a' is in two pieces"),
    ],
)
def test_a_pool_that_cannot_be_read_is_told(tmp_path: Path, candidates: list[Candidate], told: str) -> None:
    with pytest.raises(UserError, match=told):
        pool.read(*stored(tmp_path, candidates), ["majority"], NUMBERS)


def test_a_problem_without_an_answer_is_told(tmp_path: Path) -> None:
    rows.write(tmp_path / "c.parquet", [attempt("a", 0)], Candidate)
    rows.write(tmp_path / "p.parquet", [problem("a", None)], Problem)
    with pytest.raises(UserError, match="problem 'a' has no answer"):
        pool.read(tmp_path / "c.parquet", tmp_path / "p.parquet", ["majority"], NUMBERS)


def test_a_mistake_in_a_recipe_is_told_by_its_place(tmp_path: Path) -> None:
    class Held(Config, section="replay"):
        recipes: dict[str, Recipe]

    with pytest.raises(UserError, match=r"replay.*of_frist"):
        Held.check(
            {"replay": {"recipes": {"x": {**PLAIN, "stop": [{"kind": "agree", "of_frist": 5, "equal": 4}]}}}}, Path("params.yaml"), None
        )


# ---- pools from elsewhere -----------------------------------------------------------------------------------------------------------


def test_letters_and_expressions_of_a_foreign_pool_abstain_and_golds_that_are_none_are_left_out(tmp_path: Path) -> None:
    asked = [
        {"idx": 1, "question": "q", "gt": "42", "code": ["x" * 40, "y" * 400, "z", "w"], "pred": ["42", "B", "\\frac{1}{2}", ""]},
        {"idx": 2, "question": "q", "gt": "\\sqrt{2}", "code": ["x"], "pred": ["1"]},
    ]
    (tmp_path / "math_cot_100.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    found = qwen_math.read(tmp_path)
    assert [p.id for p in found.problems] == ["math-1"] and sum(found.dropped.values()) == 1
    assert [(c.answer, c.abstained) for c in found.candidates] == [
        (42, None), (None, "not an integer"), (None, "not an integer"), (None, "no box"),
    ]  # fmt: skip
    assert [c.num_tokens for c in found.candidates] == [10, 100, 1, 1]


def test_a_run_of_the_first_contest_becomes_attempts_and_what_never_began_does_not(tmp_path: Path) -> None:
    def sample(status: str, boxed: list[str] | None, text: str | None, code: str | None) -> dict[str, Any]:
        return {"run": "r1", "problem_id": "p", "status": status, "boxed": boxed, "text_answer": text, "code_runs": int(code is not None),
                "last_code_result": code, "chars": 400}  # fmt: skip

    lines = [
        sample("ok", ["1052"], "1052", None),
        sample("ok", [], "", "52"),
        sample("ok", [], "<long:122>", None),
        sample("skipped", None, None, None),
        sample("unfinished", None, None, "7"),
    ]
    with gzip.open(tmp_path / "samples.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "runs.jsonl").write_text('{"run": "r1", "group": "g"}\n')
    (tmp_path / "aimo1_reference.csv").write_text("id,problem,answer\np,What?,52\n")
    found = aimo1_runs.read(tmp_path)
    assert [(p.id, p.group, p.answer) for p in found.problems] == [("p-g", "p", 52)]
    assert [(c.answer, c.ended) for c in found.candidates] == [(52, "stop"), (52, "stop"), (None, "stop"), (None, "cancelled")]
    assert found.dropped == {"samples that never began": 1}
    with pytest.raises(UserError, match="no such file"):
        qwen_math.read(tmp_path)


def test_a_foreign_pool_is_brought_in_by_command(tmp_path: Path) -> None:
    row = {"idx": 1, "question": "q", "gt": "42", "code": ["x"], "pred": ["42"]}
    (tmp_path / "math_cot_100.jsonl").write_text(json.dumps(row) + "\n")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "components.replay.pools",
        "qwen_math",
        "--source",
        tmp_path,
        "--out",
        tmp_path / "out",
    ]
    subprocess.run(command, check=True)
    asked, given = tmp_path / "out/problems.parquet", tmp_path / "out/candidates.parquet"
    assert [a.gold for a in pool.read(given, asked, ["majority"], NUMBERS).problems] == [42]
    (tmp_path / "math_cot_100.jsonl").write_text("not a record")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and refused.stderr.startswith("error: ") and "line 1: not JSON" in refused.stderr


def published(folder: str, reader: Any, tmp_path: Path, recipes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of a stage on a published pool."""
    if not (DATA / folder).is_dir():
        pytest.skip("no folder of public data sets here")
    found = reader.read(DATA / folder)
    rows.write(tmp_path / "candidates.parquet", found.candidates, Candidate)
    rows.write(tmp_path / "problems.parquet", found.problems, Problem)
    where = {"candidates": tmp_path / "candidates.parquet", "problems": tmp_path / "problems.parquet", "page": tmp_path / "page.html"}
    return replay(config(recipes, ks=[1, 8]), NUMBERS, **where)


def test_the_published_samples_of_qwen_math_give_their_published_numbers(tmp_path: Path) -> None:
    eight = {**PLAIN, "plan": {"any": 8}}
    results = published(
        "samples_qwen_rm_maj8", qwen_math, tmp_path, {"all": eight, "identical": {**eight, "stop": [{"kind": "identical", "equal": 3}]}}
    )
    assert (results["pool"]["problems"], results["pool"]["attempts"]) == (71, 568)
    assert (
        0.88 < results["pool"]["average"]["mean"] < results["recipes"]["all"]["accuracy"]["mean"] < results["pool"]["at"][8]["pass"]["mean"]
    )
    assert results["recipes"]["identical"]["tokens"]["mean"] < results["recipes"]["all"]["tokens"]["mean"]
    assert results["recipes"]["identical"]["seconds"]["mean"] < 0.8 * results["recipes"]["all"]["seconds"]["mean"]


def test_the_published_runs_on_the_first_contest_show_a_wide_loss_of_selection(tmp_path: Path) -> None:
    results = published("aimo1_tir_votes", aimo1_runs, tmp_path, {"all": {**PLAIN, "plan": {"any": 8}}})
    assert (results["pool"]["problems"], results["pool"]["groups"], results["pool"]["attempts"]) == (35, 5, 62637)
    assert results["pool"]["cancelled_left_out"] == 801
    assert results["recipes"]["all"]["selection_loss"]["mean"] > 0.25


def test_a_recipe_whose_plan_fits_is_replayed() -> None:
    assert not_replayed(recipe(PLAIN), small_pool()) is None
