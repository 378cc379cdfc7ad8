"""Votes and gates are counted right: against brute force, closed forms, scipy's own tests, small simulations of false alarms and power."""

import itertools
import random

import pytest

from components.lib.statistics import Paired, holm, interval, majority_credit, paired, pass_at, verdict


def drawn_by_hand(counts: dict[int, int], gold: int, abstain: int, k: int) -> float:
    """maj@k by listing every draw."""
    pool: list[int | None] = [answer for answer, count in counts.items() for _ in range(count)] + [None] * abstain
    credits = []
    for draw in itertools.combinations(pool, k):
        votes = {answer: draw.count(answer) for answer in set(draw) - {None}}
        best = [answer for answer, count in votes.items() if count == max(votes.values())]
        credits.append(1 / len(best) if gold in best else 0.0)
    return sum(credits) / len(credits)


@pytest.mark.parametrize(
    ("n", "c", "k", "chance"), [(4, 0, 2, 0.0), (4, 4, 2, 1.0), (4, 1, 4, 1.0), (4, 1, 1, 0.25), (5, 2, 2, 0.7), (64, 1, 32, 0.5)]
)
def test_pass_at_k_is_the_share_of_draws_that_hold_a_correct_one(n: int, c: int, k: int, chance: float) -> None:
    assert pass_at(n, c, k) == chance


@pytest.mark.parametrize(
    ("counts", "abstain", "k", "credit"),
    [
        ({7: 3}, 0, 2, 1.0),
        ({7: 1, 8: 1}, 0, 2, 0.5),
        ({7: 2, 8: 2, 9: 2}, 0, 6, 1 / 3),
        ({8: 4}, 1, 3, 0.0),
        ({}, 4, 2, 0.0),
        ({7: 1}, 3, 4, 1.0),
        ({7: 1}, 3, 2, 0.5),
    ],
)
def test_ties_share_the_credit_and_abstentions_vote_for_nothing(counts: dict[int, int], abstain: int, k: int, credit: float) -> None:
    assert majority_credit(counts, 7, abstain, k) == pytest.approx(credit, abs=1e-15)


def test_majority_credit_equals_a_count_of_every_draw() -> None:
    rng = random.Random(1)
    for _ in range(60):
        counts = {answer: rng.randint(1, 3) for answer in range(rng.randint(0, 4))}
        abstain = rng.randint(0 if counts else 1, 2)
        k = rng.randint(1, sum(counts.values()) + abstain)
        assert majority_credit(counts, 0, abstain, k) == pytest.approx(drawn_by_hand(counts, 0, abstain, k), abs=1e-12)


def test_a_majority_of_one_is_the_mean_and_no_majority_beats_pass_at_k() -> None:
    counts = {7: 5, 1: 6, 2: 3}
    assert majority_credit(counts, 7, 2, 1) == pass_at(16, 5, 1) == 5 / 16
    assert all(majority_credit(counts, 7, 2, k) <= pass_at(16, 5, k) for k in range(1, 17))


@pytest.mark.parametrize(("n", "k"), [(3, 4), (3, 0), (0, 1)])
def test_more_draws_than_candidates_is_an_error_not_a_zero(n: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        pass_at(n, 0, k)
    with pytest.raises(ValueError, match="cannot draw"):
        majority_credit({1: n}, 1, 0, k)


def test_an_interval_holds_its_mean_and_repeats_with_its_seed() -> None:
    values = [0.0] * 20 + [1.0] * 30 + [0.5] * 5
    first = interval(values, 0.95, 2000, 3)
    assert first == interval(values, 0.95, 2000, 3)
    assert first.mean == pytest.approx(32.5 / 55)
    assert first.low < first.mean < first.high
    assert 0.2 < first.high - first.low < 0.3  # 2 * 1.96 * sd / sqrt(55), sd 0.47


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0.0, 0.1157), (1.0, 0.8843, 1.0)])
def test_all_or_none_of_thirty_gets_clopper_and_pearsons_bound(value: float, low: float, high: float) -> None:
    from scipy.stats import binomtest

    found = interval([value] * 30, 0.95, 1000, 1)
    exact = binomtest(int(30 * value), 30).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_no_problems_is_an_error() -> None:
    with pytest.raises(ValueError, match="no problems"):
        interval([], 0.95, 100, 1)


def test_models_that_never_differ_are_not_worse_on_many_problems_and_undecided_on_few() -> None:
    many, few = paired([0.0] * 150, 0.95, 1000, 1), paired([0.0] * 30, 0.95, 1000, 1)
    assert many.difference == 0.0
    assert many.p_value == 1.0
    assert (verdict(many, 0.05), verdict(few, 0.05)) == ("not worse", "undecided")


@pytest.mark.parametrize("size", [8, 30])
def test_the_sign_flip_test_agrees_with_scipys(size: int) -> None:
    import numpy as np
    from scipy.stats import permutation_test

    d = np.random.default_rng(size).normal(0.3, 0.6, size).clip(-1, 1)
    theirs = permutation_test((d,), np.mean, permutation_type="samples", n_resamples=20000, rng=1, vectorized=True).pvalue
    assert paired(list(d), 0.95, 20000, 2).p_value == pytest.approx(theirs, abs=0.005)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.2, "better"), (-0.04, 0.1, "not worse"), (-0.05, 0.1, "undecided"), (-0.2, -0.01, "worse"), (-0.04, -0.01, "not worse")],
)
def test_verdicts_read_the_interval_against_zero_and_the_margin(low: float, high: float, said: str) -> None:
    assert verdict(Paired((low + high) / 2, low, high, 0.5), 0.05) == said


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [([], []), ([0.03], [0.03]), ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.6, 0.5], [1.0, 1.0]), ([0.2, 0.01], [0.2, 0.02])],
)
def test_holm_steps_down_from_the_smallest(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


def scores(chances: list[float], attempts: int, rng: random.Random) -> list[float]:
    """The share of right attempts, problem by problem."""
    return [sum(rng.random() < chance for _ in range(attempts)) / attempts for chance in chances]


def alarms(gain: float, problems: int, runs: int) -> tuple[float, float]:
    """How often 16 attempts per problem make a p-value below 0.05, and a verdict "better"."""
    rng, rejected, better = random.Random(5), 0, 0
    for run in range(runs):
        chances = [rng.betavariate(0.8, 0.8) * 0.9 for _ in range(problems)]
        new, old = scores([chance + gain for chance in chances], 16, rng), scores(chances, 16, rng)
        compared = paired([a - b for a, b in zip(new, old, strict=True)], 0.95, 600, run)
        rejected += compared.p_value < 0.05
        better += verdict(compared, 0.05) == "better"
    return rejected / runs, better / runs


def test_equal_models_seldom_look_different_and_five_points_are_seen_on_110_problems() -> None:
    false_alarms, false_better = alarms(0.0, 60, 120)
    power, better = alarms(0.05, 110, 40)
    assert false_alarms < 0.12
    assert false_better < 0.08
    assert power > 0.75
    assert better > 0.75
