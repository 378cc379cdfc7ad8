"""Numbers of a pool and of a replay, each with its interval.

The unit is Problem.group: problems of one group share a mean before anything is averaged, drawn with replacement or split in halves, for
they are not independent. Where every problem is its own group the unit is the problem. Knows no files and no rules.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from components.lib import statistics
from components.replay.pool import Attempts
from components.replay.simulation import Outcome

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

Values = Mapping[str, float]
"""One value per problem that has one, by the problem's id."""


class Bootstrap(NamedTuple):
    """How intervals are drawn."""

    confidence: float
    resamples: int
    seed: int


def pool_metrics(problems: Sequence[Attempts], k_values: Sequence[int], bootstrap: Bootstrap) -> dict[str, Any]:
    """What the pool itself holds: avg@n, exact pass@k and maj@k (a tie shares its credit), and how alike its attempts are."""
    groups = groups_of(problems)
    counts = [(int((a.answers == a.gold).sum()), len(a.answers)) for a in problems]
    correlation = attempt_correlation(counts)
    exact = {}
    for k in k_values:
        large = [(a, right, n) for a, (right, n) in zip(problems, counts, strict=True) if n >= k]
        if large:
            passed = {a.problem.id: statistics.pass_at(n, right, k) for a, right, n in large}
            majority = {a.problem.id: _majority(a, k) for a, _, _ in large}
            exact[k] = {
                "pass": share_interval(passed, groups, bootstrap),
                "majority": share_interval(majority, groups, bootstrap),
                "selection_loss": _mean(passed, groups) - _mean(majority, groups),
                "effective_sample_size": None if correlation is None else effective_sample_size(k, correlation),
                "missing": len(problems) - len(large),
            }
    return {
        "problems": len(problems),
        "groups": len(set(groups.values())),
        "attempts": sum(n for _, n in counts),
        "attempts_per_problem": [min(n for _, n in counts), max(n for _, n in counts)],
        "average": share_interval({a.problem.id: right / n for a, (right, n) in zip(problems, counts, strict=True)}, groups, bootstrap),
        "abstained": sum(int((a.answers < 0).sum()) for a in problems) / sum(n for _, n in counts),
        "attempt_correlation": correlation,
        "tokens_per_attempt": _mean({a.problem.id: float(a.tokens.mean()) for a in problems}, groups),
        "seconds_per_attempt": _mean({a.problem.id: float(a.at_s.mean()) for a in problems}, groups),
        "at": exact,
    }


def attempt_correlation(counts: Iterable[tuple[int, int]]) -> float | None:
    """How much more often two attempts at one problem are right together than by chance: (P(both) - p²) / (p (1 - p)).

    `counts` are (right, attempts) per problem; P(both) = mean of v(v-1) / (N(N-1)) and p = mean of v/N, over problems with at least two
    attempts (arXiv 2603.27844). 1: a problem is solved by all attempts or by none; 0: independent. None where p is 0 or 1.
    """
    several = [(v, n) for v, n in counts if n > 1]
    p = sum(v / n for v, n in several) / max(1, len(several))
    if not 0 < p < 1:
        return None
    both = sum(v * (v - 1) / (n * (n - 1)) for v, n in several) / len(several)
    return (both - p * p) / (p * (1 - p))


def effective_sample_size(n: int, correlation: float) -> float:
    """N_eff = N / (1 + (N - 1) rho): so many independent attempts say as much; at most N (a negative rho is chance)."""
    return n / (1 + (n - 1) * max(0.0, correlation))


def _majority(attempts: Attempts, k: int) -> float:
    answered = [answer for answer in attempts.answers.tolist() if answer >= 0]
    return statistics.majority_credit(Counter(answered), attempts.gold, len(attempts.answers) - len(answered), k)


def recipe_metrics(outcome: Outcome, problems: Sequence[Attempts], bootstrap: Bootstrap) -> dict[str, Any]:
    """What a recipe reached. Selection loss = pass@k of its plan - accuracy; a part of it is lost by the stop, the rest by the vote."""
    groups = groups_of(problems)

    def per_problem(values: "Numbers") -> dict[str, float]:
        return {attempts.problem.id: float(value) for attempts, value in zip(problems, values.mean(1), strict=True)}

    return {
        "accuracy": share_interval(per_problem(outcome.correct), groups, bootstrap),
        "pass": share_interval(per_problem(outcome.any_correct), groups, bootstrap),
        "selection_loss": share_interval(per_problem(outcome.any_correct - outcome.correct), groups, bootstrap),
        "lost_by_stop": _mean(per_problem(outcome.any_correct - outcome.correct_before_stop), groups),
        "lost_by_vote": _mean(per_problem(outcome.correct_before_stop - outcome.correct), groups),
        "tokens": amount_interval(per_problem(outcome.tokens), groups, bootstrap),
        "seconds": amount_interval(per_problem(outcome.seconds), groups, bootstrap),
        "exam_s": {"mean": float(outcome.seconds.sum(0).mean()), "longest": float(outcome.seconds.sum(0).max())},
        "run_std": float(outcome.correct.sum(0).std()),
        "stopped": float(outcome.stopped.mean()),
        "given_up": float(outcome.given_up.mean()),
    }


def paired_difference(first: Outcome, second: Outcome, problems: Sequence[Attempts], bootstrap: Bootstrap) -> statistics.Paired:
    """Accuracy of the second minus that of the first, on the same draws."""
    difference = (second.correct.mean(1) - first.correct.mean(1)).tolist()
    values = group_means({a.problem.id: value for a, value in zip(problems, difference, strict=True)}, groups_of(problems))
    return statistics.paired(list(values.values()), *bootstrap)


def held_out(outcomes: Mapping[str, Outcome], problems: Sequence[Attempts], bootstrap: Bootstrap) -> list[dict[str, Any]]:
    """The best recipe, chosen on one half of the groups and measured on the other; then the halves change places. Empty below two groups.

    Of equally accurate ones the cheaper is better. `chosen_on` is what the choice looked like, which flatters; `reported_on` does not.
    """
    groups = groups_of(problems)
    first, second = split_halves(groups, bootstrap.seed)
    found = []
    for chosen_on, reported_on in [(first, second), (second, first)] if first and second and outcomes else []:
        seen = {
            name: (_on(chosen_on, outcome.correct, groups), _on(chosen_on, outcome.tokens, groups)) for name, outcome in outcomes.items()
        }
        best = max(seen, key=lambda name: (round(_mean(seen[name][0], groups), 9), -_mean(seen[name][1], groups)))
        told = share_interval(_on(reported_on, outcomes[best].correct, groups), groups, bootstrap)
        found.append(
            {
                "recipe": best,
                "chosen_on": {"problems": len(chosen_on), "accuracy": _mean(seen[best][0], groups)},
                "reported_on": {"problems": len(reported_on), "accuracy": told},
            }
        )
    return found


def _on(half: set[str], values: "Numbers", groups: Mapping[str, str]) -> dict[str, float]:
    """Means over the draws [problems, samples] of these problems; `groups` has all problems, in order."""
    return {name: mean for name, mean in zip(groups, values.mean(1).tolist(), strict=True) if name in half}


def split_halves(groups: Mapping[str, str], seed: int) -> tuple[set[str], set[str]]:
    """The problems in two parts that share no group."""
    names = sorted(set(groups.values()))
    random.Random(seed).shuffle(names)
    first = set(names[: len(names) // 2])
    return {i for i, group in groups.items() if group in first}, {i for i, group in groups.items() if group not in first}


def groups_of(problems: Sequence[Attempts]) -> dict[str, str]:
    return {attempts.problem.id: attempts.problem.group for attempts in problems}


def share_interval(values: Values, groups: Mapping[str, str], bootstrap: Bootstrap) -> dict[str, float]:
    """Mean share over groups and its interval."""
    return statistics.interval(list(group_means(values, groups).values()), *bootstrap)._asdict()


def amount_interval(values: Values, groups: Mapping[str, str], bootstrap: Bootstrap) -> dict[str, float]:
    """Mean amount (tokens, seconds) over groups and its interval, which has no width where all groups are equal."""
    per_group = list(group_means(values, groups).values())
    if max(per_group) == min(per_group):
        return statistics.Interval(per_group[0], per_group[0], per_group[0])._asdict()
    return statistics.interval(per_group, *bootstrap)._asdict()


def _mean(values: Values, groups: Mapping[str, str]) -> float:
    per_group = group_means(values, groups)
    return sum(per_group.values()) / len(per_group)


def group_means(values: Values, groups: Mapping[str, str]) -> dict[str, float]:
    """The mean of each group's problems."""
    found: dict[str, list[float]] = defaultdict(list)
    for name, value in values.items():
        found[groups[name]].append(value)
    return {group: sum(members) / len(members) for group, members in found.items()}
