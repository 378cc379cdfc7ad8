"""What a replay costs: 12 rules on 1,000 samples of 64 attempts at 50 problems, and beside it a plain loop over the same ones.

    python -m benchmarks.replay --num-samples 1000 --slice 20

The attempts are made up: skewed answers, a fifth abstains, times of all lengths. The plain loop keeps a dictionary of counts and looks
at it after each event until its rule holds; it is what one would write first. It runs on the first `--slice` samples of every problem,
and the ratio is taken within a round, so that a busy machine slows both; both must find the same answers, tokens and seconds. Writes
nothing.
"""

import argparse
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.table import Row, row, run_one
from components.core.types import Problem
from components.replay import sampling
from components.replay.pool import Attempts, VoteArrays
from components.replay.recipe import Recipe
from components.replay.simulation import Outcome, simulate

PLANNED, SEED = 64, 1


class Seen(NamedTuple):
    """What a plain loop keeps of the events so far."""

    votes: Counter[int]
    answers: list[int]
    finished: int
    junk: int

    def top(self) -> tuple[int, int]:
        first = second = 0
        for votes in self.votes.values():
            first, second = (votes, first) if votes > first else (first, max(second, votes))
        return first, second


def banded(bands: list[list[int]], count: int, value: int) -> bool:
    return any(low <= count <= high and value >= needed for low, high, needed in bands)


LEADS, JUNK, STEPS = [[4, 7, 3], [8, 11, 2], [12, 64, 1]], [[5, 7, 5], [8, 11, 4], [12, 64, 6]], [[4, 4], [7, 5], [9, 6]]
RULES: dict[str, tuple[dict[str, Any], Callable[[Seen], bool]]] = {
    "agree": ({"of_first": 5, "equal": 4}, lambda s: max(Counter(s.answers[:5]).values(), default=0) >= 4),
    "last": ({"of_last": 5, "equal": 4}, lambda s: max(Counter(s.answers[-5:]).values(), default=0) >= 4),
    "repeats": ({"steps": STEPS}, lambda s: any(len(s.answers) <= n and s.top()[0] >= k for n, k in STEPS)),
    "identical": ({"equal": 6}, lambda s: s.top()[0] >= 6),
    "share": ({"share": 0.33}, lambda s: s.top()[0] >= 0.33 * PLANNED),
    "share_of_answers": ({"more_than": 6, "share": 0.7}, lambda s: len(s.answers) > 6 and s.top()[0] > 0.7 * len(s.answers)),
    "lead": ({"bands": LEADS}, lambda s: banded(LEADS, s.finished, s.top()[0] - s.top()[1])),
    "unreachable": ({}, lambda s: s.top()[1] + PLANNED - s.finished <= s.top()[0]),
    "radical": (
        {"begin_at": 5, "share_at_begin": 0.8, "share_at_end": 0.5},
        lambda s: s.finished >= 5 and s.top()[0] >= s.finished * (0.8 - (s.finished - 5) / (PLANNED - 5) * 0.3) - 1e-9,
    ),
    "count": ({"answers": 40}, lambda s: len(s.answers) >= 40),
    "junk": ({"bands": JUNK}, lambda s: banded(JUNK, s.finished, s.junk)),
    "diverged": ({"finished": 8, "distinct": 6}, lambda s: s.finished >= 8 and sum(answer > 0 for answer in s.votes) >= 6),
}


def made_up(number: int, rng: np.random.Generator) -> Attempts:
    """A problem with twice as many attempts as a plan takes."""
    size, known = 2 * PLANNED, np.arange(30)
    answer_index = np.minimum(rng.geometric(rng.uniform(0.1, 0.5), size), 29)
    answered = rng.random(size) > 0.2
    problem = Problem(id=f"p{number}", statement="", answer=1, source="", licence="", group=f"p{number}")
    return Attempts(
        problem=problem,
        gold=1,
        answers=np.where(answered, answer_index, -1),
        at_s=np.sort(rng.uniform(20, 600, size)),
        tokens=rng.integers(500, 16000, size),
        modes=np.array(["cot"] * size),
        keys=rng.permutation(size),
        votes={"majority": VoteArrays(known, answer_index[:, None], answered[:, None].astype(float), larger_wins=False)},
    )


def plain(problems: list[Attempts], wanted: int, all_draws: int) -> dict[str, list[tuple[bool, float, float]]]:
    """Right, tokens and seconds of each rule on the first samples of each problem, event by event."""
    found: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in RULES}
    for attempts in problems:
        places = sampling.sample(attempts, {"any": PLANNED}, sampling.random_keys(attempts, all_draws, SEED)[:wanted], None).tolist()
        answers, at_s, tokens = attempts.answers.tolist(), attempts.at_s.tolist(), attempts.tokens.tolist()
        for drawn in places:
            for name, (_, holds) in RULES.items():
                found[name].append(one(deque(drawn), answers, at_s, tokens, holds, name in ("junk", "diverged")))
    return found


def one(
    waiting: deque[int], answers: list[int], at_s: list[float], tokens: list[int], holds: Callable[[Seen], bool], gives_up: bool
) -> tuple[bool, float, float]:
    seen, paid, end, lost = Seen(Counter(), [], 0, 0), 0.0, 0.0, False
    while waiting:
        place = waiting.popleft()
        if answers[place] >= 0:
            seen.votes[answers[place]] += 1
            seen.answers.append(answers[place])
        seen = seen._replace(finished=seen.finished + 1, junk=seen.junk + (answers[place] <= 0))
        paid, end = paid + tokens[place], at_s[place]
        if holds(seen):
            lost = gives_up
            break
    paid += sum(tokens[place] * end / at_s[place] for place in waiting)
    best = max(seen.votes, key=lambda answer: seen.votes[answer]) if seen.votes else None  # of a tie the one that came first
    return best == 1 and not lost, paid, end


def agree(ours: dict[str, Outcome], theirs: dict[str, list[tuple[bool, float, float]]], wanted: int) -> None:
    for name, outcome in ours.items():
        values = np.array(theirs[name], float).reshape(-1, wanted, 3)
        for column, field in enumerate((outcome.correct, outcome.tokens, outcome.seconds)):
            assert np.allclose(field[:, :wanted], values[:, :, column]), (name, column)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num-samples", type=int, default=1000)
    parser.add_argument("--slice", type=int, default=20, help="samples per problem that the plain loop goes through")
    parser.add_argument("--problems", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    problems = [made_up(number, rng) for number in range(args.problems)]
    whole = {"plan": {"any": PLANNED}, "max_tokens": None, "time_budget": None, "vote": "majority"}
    recipes = {
        name: Recipe.model_validate({**whole, "early_stopping": [{"kind": name, **settings}]}) for name, (settings, _) in RULES.items()
    }
    ratios, wall_s, cpu_s = [], [], []
    for _ in range(args.rounds):
        started, used = time.perf_counter(), time.process_time()
        ours = simulate(problems, recipes, args.num_samples, SEED)
        wall_s.append(time.perf_counter() - started)
        cpu_s.append(time.process_time() - used)
        started = time.perf_counter()
        theirs = plain(problems, args.slice, args.num_samples)
        per_draw = (time.perf_counter() - started) / args.slice
        agree(ours, theirs, args.slice)
        ratios.append(per_draw / (wall_s[-1] / args.num_samples))
    size = f"{len(RULES)} rules, {args.num_samples} samples, {args.problems} problems"
    yield row("replay", size, "s", wall_s)
    yield row("replay", size, "CPU s", cpu_s)
    yield row("replay", "times faster than a plain loop, per draw", "ratio", ratios)


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
