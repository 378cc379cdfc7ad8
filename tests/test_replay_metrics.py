"""Replay against a plain loop that asks the rules event by event as a live run does; measures against numbers made by hand."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from components.lib import statistics
from components.lib.rules import length_model
from components.lib.rules.early_stopping import check
from components.lib.rules.tally import Tally
from components.lib.rules.time_budget import History, QuestionBudget
from components.replay import metrics, sampling
from components.replay.pool import STRATEGIES, Attempts
from components.replay.recipe import Recipe
from components.replay.simulation import Outcome, simulate
from tests.replay_fixtures import PLAIN, RECIPES, recipe, small_pool
from tests.row_fixtures import problem

DRAWS = 25


class Expected(NamedTuple):
    """What a plain loop says of one question."""

    correct: bool
    correct_before_stop: bool
    any_correct: bool
    tokens: float
    seconds: float
    stopped: bool
    given_up: bool


class Event(NamedTuple):
    answer: int | None
    at_s: float
    tokens: int
    weight: float


def live(events: Sequence[Event], by: Recipe, allowed: QuestionBudget) -> Expected:
    """A question as a live run plays it: one event after the other, the rules asked after each."""
    finished: list[Event] = []
    ended, end = None, min(events[-1].at_s, allowed.limit_s)
    for event in events:
        if event.at_s > allowed.limit_s or allowed.limit_s <= 0:
            break
        finished.append(event)
        tally = Tally.of([e.answer for e in finished], [e.at_s for e in finished], len(events))
        ended = check([*by.early_stopping, *allowed.stops()], tally)
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
    return Expected(
        correct=voted == 7 and not lost,
        correct_before_stop=any(event.answer == 7 for event in finished),
        any_correct=any(event.answer == 7 for event in events),
        tokens=sum(e.tokens for e in finished) + sum(e.tokens * min(1.0, end / e.at_s) for e in running),
        seconds=end,
        stopped=ended is not None,
        given_up=lost,
    )


def drawn_events(attempts: Attempts, by: Recipe, draw: int, at_most: int | None) -> list[Event]:
    """One draw's attempts, found without the replay's arrays of draws: the smallest random_keys, then sorted by time."""
    assert isinstance(by.plan, dict)
    random_keys = sampling.random_keys(attempts, DRAWS, seed=3)[draw]
    places, taken = sorted(range(len(attempts.keys)), key=lambda place: random_keys[attempts.keys[place]]), []
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
def test_a_replay_is_what_a_live_run_would_have_done_with_the_same_attempts(name: str) -> None:
    problems, by = small_pool(), recipe(RECIPES[name])
    outcome = simulate(problems, {name: by}, DRAWS, seed=3)[name]
    for draw in range(DRAWS):
        used: list[float] = []
        limits: list[float] = []
        for number, attempts in enumerate(problems):
            history = History(len(problems), sum(used), used, limits)
            allowed = by.time_budget.allow(history) if by.time_budget else QuestionBudget(float("inf"))
            played = live(drawn_events(attempts, by, draw, allowed.candidates), by, allowed)
            found = [float(field[number, draw]) for field in outcome]
            assert found == pytest.approx([float(value) for value in played]), (number, draw, Outcome._fields)
            used.append(played.seconds)
            limits.append(allowed.limit_s)


def test_the_recipes_of_this_test_reach_every_way_in_which_a_question_can_end() -> None:
    outcomes = simulate(small_pool(), {name: recipe(settings) for name, settings in RECIPES.items()}, DRAWS, seed=3)
    assert outcomes["given up"].given_up.any() and not outcomes["given up"].given_up.all()
    assert (outcomes["agree"].stopped == 1).any() and (outcomes["agree"].stopped == 0).any()
    assert outcomes["reserve clock"].seconds.sum(0).max() <= 200
    assert (outcomes["reserve clock"].correct_before_stop < outcomes["reserve clock"].any_correct).any()
    assert (outcomes["weighted, larger wins"].correct != outcomes["no stop"].correct).any()


def test_recipes_see_the_same_draws_whoever_stands_beside_them_and_a_longer_plan_holds_the_shorter() -> None:
    problems = small_pool()
    alone = simulate(problems, {"agree": recipe(RECIPES["agree"])}, DRAWS, seed=3)["agree"]
    beside = simulate(problems, {name: recipe(RECIPES[name]) for name in ("no stop", "speed clock", "agree")}, DRAWS, seed=3)["agree"]
    assert all((a == b).all() for a, b in zip(alone, beside, strict=True))
    numbers = sampling.random_keys(problems[0], DRAWS, seed=3)
    few, many = (sampling.sample(problems[0], {"any": count}, numbers, None) for count in (3, 6))
    assert all(set(short) < set(long) for short, long in zip(few.tolist(), many.tolist(), strict=True))


def test_a_token_clock_cuts_attempts_to_the_length_that_the_statement_lets_expect(tmp_path: Path) -> None:
    statements = [f"Count the {'tiles of a long wall' if n % 2 else 'cups'} {n}" for n in range(20)]
    length_model.fit(statements, [800.0 if n % 2 else 100.0 for n in range(20)]).save(tmp_path / "length.json")
    problems = [a._replace(problem=problem(a.problem.id, statement=statements[n])) for n, a in enumerate(small_pool(2))]
    clock = {
        "kind": "tokens",
        "exam_s": 9000,
        "question_s": 900,
        "model": str(tmp_path / "length.json"),
        "scale": 1,
        "low": 1,
        "high": 5000,
    }
    by_clock = simulate(problems, {"t": recipe({**PLAIN, "time_budget": clock})}, DRAWS, seed=3)["t"].tokens
    whole = simulate(problems, {"w": recipe(PLAIN)}, DRAWS, seed=3)["w"].tokens
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
    assert metrics.attempt_correlation(counts) == pytest.approx(rho)


@pytest.mark.parametrize(("n", "rho", "worth"), [(8, 0.0, 8), (8, 1.0, 1), (9, 0.5, 1.8), (64, 0.25, 64 / 16.75), (8, -0.1, 8)])
def test_alike_attempts_are_worth_fewer_independent_ones(n: int, rho: float, worth: float) -> None:
    assert metrics.effective_sample_size(n, rho) == pytest.approx(worth)


def test_independent_attempts_show_no_correlation() -> None:
    rng = np.random.default_rng(4)
    counts = [(int(right), 64) for right in rng.binomial(64, 0.4, 4000)]
    assert abs(metrics.attempt_correlation(counts) or 0.0) < 0.005


def test_halves_share_no_problem_and_no_group() -> None:
    groups = {f"p{n}": f"g{n % 9}" for n in range(40)}
    for seed in range(20):
        first, second = metrics.split_halves(groups, seed)
        assert first and second and not first & second and first | second == set(groups)
        assert not {groups[name] for name in first} & {groups[name] for name in second}


def test_the_best_recipe_is_chosen_on_one_half_and_told_by_the_other() -> None:
    problems = small_pool(8)
    first, _ = metrics.split_halves(metrics.groups_of(problems), seed=1)
    inside = np.array([[float(a.problem.id in first)] for a in problems])
    outcomes = {"good on the first": outcome_of(inside), "good on the second": outcome_of(1 - inside), "dear": outcome_of(inside, 900.0)}
    found = metrics.held_out(outcomes, problems, metrics.Bootstrap(0.95, 200, 1))
    assert [half["recipe"] for half in found] == ["good on the first", "good on the second"]
    assert all(half["chosen_on"]["accuracy"] == 1 and half["reported_on"]["accuracy"]["mean"] == 0 for half in found)
    assert {half["chosen_on"]["problems"] + half["reported_on"]["problems"] for half in found} == {8}


def test_problems_of_one_group_count_once_and_widen_the_interval() -> None:
    bootstrap = metrics.Bootstrap(0.95, 2000, 1)
    values = {f"p{n}": float(n >= 15) for n in range(30)}
    alone = metrics.share_interval(values, {name: name for name in values}, bootstrap)
    grouped = metrics.share_interval(values, {name: str(int(name[1:]) // 5) for name in values}, bootstrap)
    assert alone["mean"] == grouped["mean"] == 0.5
    assert grouped["high"] - grouped["low"] > 1.5 * (alone["high"] - alone["low"])


def test_drawing_the_whole_pool_reaches_the_pools_own_exact_numbers_and_the_loss_is_split_without_rest() -> None:
    problems, bootstrap = small_pool(), metrics.Bootstrap(0.95, 500, 1)
    own = metrics.pool_metrics(problems, [1, 6, 10, 11], bootstrap)
    assert list(own["at"]) == [1, 6, 10]  # nobody has 11
    by = {"six": recipe(PLAIN), "whole": recipe({**PLAIN, "plan": {"any": 10}}), "one": recipe({**PLAIN, "plan": {"any": 1}})}
    found = {name: metrics.recipe_metrics(outcome, problems, bootstrap) for name, outcome in simulate(problems, by, 4000, 3).items()}
    assert found["whole"]["pass"]["mean"] == pytest.approx(own["at"][10]["pass"]["mean"])
    assert found["one"]["accuracy"]["mean"] == pytest.approx(own["average"]["mean"], abs=0.01)
    assert found["six"]["pass"]["mean"] == pytest.approx(own["at"][6]["pass"]["mean"], abs=0.01)
    assert found["six"]["selection_loss"]["mean"] == pytest.approx(found["six"]["lost_by_stop"] + found["six"]["lost_by_vote"])
    gold = [statistics.pass_at(len(a.answers), int((a.answers == 7).sum()), 6) for a in problems]
    assert own["at"][6]["pass"]["mean"] == pytest.approx(sum(gold) / len(gold))
