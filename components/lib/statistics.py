"""How good is a model, how sure are we, is one better than another: the arithmetic of votes and gates.

Covered: exact pass@k and maj@k (no sampling, no seed), bootstrap intervals over problems, paired comparisons of two models on the same
problems, verdicts against a margin, Holm's correction. The unit is always the problem: candidates of one problem are not independent, and a
test that pools them raises false alarms (9-13 % where 5 % were promised, with 64 candidates each).
Not covered: where the numbers come from. Knows no row type and no file. numpy and scipy are imported where they are used.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

Verdict = Literal["better", "not worse", "undecided", "worse"]


class Interval(NamedTuple):
    """A mean and the range that holds the true one with the wanted confidence."""

    mean: float
    low: float
    high: float


class Paired(NamedTuple):
    """The mean of per-problem differences, its interval, and the two-sided p-value of "no difference"."""

    difference: float
    low: float
    high: float
    p_value: float


def pass_at(n: int, c: int, k: int) -> float:
    """The chance that k of n candidates, drawn without replacement, hold one of the c correct: 1 - C(n-c, k) / C(n, k).

    n is what was really sampled, abstentions included. ValueError where k > n: such a problem is missing, it does not score 0.
    """
    _check_draw(n, k)
    if not 0 <= c <= n:
        raise ValueError(f"{c} correct of {n} candidates")
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def majority_credit(counts: Mapping[int, int], gold: int, abstain: int, k: int) -> float:
    """The chance that a majority vote of k candidates, drawn without replacement, is right; a tie of t answers gives the gold one 1/t.

    `counts` are the candidates per answer, `abstain` those without one: they may be drawn, and vote for nothing. Exact: for each
    number m of correct candidates drawn, a dynamic programme counts the ways in which no other answer is drawn more than m times.
    """
    _check_draw(sum(counts.values()) + abstain, k)
    correct = counts.get(gold, 0)
    others = [count for answer, count in counts.items() if answer != gold]
    won = Fraction(0)
    for m in range(1, min(correct, k) + 1):
        for ties, ways in enumerate(_ways(others, abstain, k - m, m)):
            won += math.comb(correct, m) * Fraction(ways, 1 + ties)
    return float(won / math.comb(sum(counts.values()) + abstain, k))


def _ways(others: Sequence[int], abstain: int, drawn: int, most: int) -> list[int]:
    """Ways to draw `drawn` of the others and the abstaining, none of the others above `most`; by how many reach it exactly."""
    ties = drawn // most
    table = [[0] * (ties + 1) for _ in range(drawn + 1)]
    for j in range(min(abstain, drawn) + 1):
        table[j][0] = math.comb(abstain, j)
    for count in others:
        after = [[0] * (ties + 1) for _ in range(drawn + 1)]
        for j in range(min(count, most, drawn) + 1):
            tied, ways = int(j == most), math.comb(count, j)
            for before in range(drawn - j + 1):
                for t in range(ties + 1 - tied):
                    after[before + j][t + tied] += ways * table[before][t]
        table = after
    return table[drawn]


def _check_draw(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"cannot draw {k} of {n} candidates")


def interval(values: Sequence[float], confidence: float, resamples: int, seed: int) -> Interval:
    """Mean and BCa bootstrap interval of per-problem scores in [0, 1]; all equal: see `_unseen` (0 of n gets an honest upper end)."""
    mean, (low, high) = _mean(values), _bounds(values, confidence, resamples, seed, 0.0)
    return Interval(mean, low, high)


def paired(differences: Sequence[float], confidence: float, resamples: int, seed: int) -> Paired:
    """Mean per-problem difference in [-1, 1] of two models on the same problems: BCa interval, sign-flip permutation test."""
    mean, (low, high) = _mean(differences), _bounds(differences, confidence, resamples, seed, -1.0)
    return Paired(mean, low, high, sign_flip(differences, resamples, seed))


def verdict(compared: Paired, margin: float) -> Verdict:
    """better: the interval lies above 0; not worse: above -margin; worse: below 0 and not within the margin; else undecided."""
    if compared.low > 0:
        return "better"
    if compared.low > -margin:
        return "not worse"
    return "worse" if compared.high < 0 else "undecided"


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: the i-th smallest of m times m - i + 1, made monotone, at most 1."""
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = floor
    return adjusted


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no problems: there is nothing to average")
    return math.fsum(values) / len(values)


def _bounds(values: Sequence[float], confidence: float, resamples: int, seed: int, floor: float) -> tuple[float, float]:
    import numpy as np
    from scipy import stats

    if min(values) == max(values):
        return _unseen(values[0], len(values), confidence, floor)
    drawn = stats.bootstrap(
        (np.asarray(values, float),), np.mean, confidence_level=confidence, n_resamples=resamples, method="BCa", batch=256, rng=seed
    ).confidence_interval
    return float(drawn.low), float(drawn.high)


def _unseen(value: float, n: int, confidence: float, floor: float) -> tuple[float, float]:
    """Bounds where all n values are equal, so that resampling sees no spread.

    A share u of all problems can have been missed by n draws with probability (1-u)^n; solved for half of what confidence leaves over,
    and these problems may score anything from `floor` to 1. For scores of 0 or 1 this is Clopper and Pearson's interval.
    """
    missed = 1 - ((1 - confidence) / 2) ** (1 / n)
    return (1 - missed) * value + missed * floor, (1 - missed) * value + missed


def sign_flip(differences: Sequence[float], resamples: int, seed: int) -> float:
    """Two-sided p-value: how often random signs make a mean at least as far from 0. Exact where there are fewer flips than resamples.

    A problem without a difference changes under no flip, so only the others count.
    """
    import numpy as np

    moved = np.asarray([d for d in differences if d != 0], float)
    if not len(moved):
        return 1.0
    reached = abs(moved.sum()) * (1 - 1e-12)  # sums in another order differ in the last bits
    if 2 ** len(moved) <= resamples:
        flips = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float(np.mean(np.abs((1 - 2 * flips) @ moved) >= reached))
    rng, beyond = np.random.default_rng(seed), 0
    for start in range(0, resamples, 1024):
        flips = rng.integers(0, 2, (min(1024, resamples - start), len(moved)), dtype=np.int8)
        beyond += int(np.sum(np.abs((1 - 2 * flips) @ moved) >= reached))
    return (beyond + 1) / (resamples + 1)
