"""Stopping rules: each one's anchors as published, and each against a plain loop over the same events."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from components.lib.rules.early_stopping import NOBODY, StopDecision, StopRule, check, decide
from components.lib.rules.tally import Tally, occurrences

Answers = Sequence[int | None]
STOP: TypeAdapter[StopRule] = TypeAdapter(StopRule)
AGREE = {"kind": "agree", "of_first": 5, "equal": 4}
LAST = {"kind": "last", "of_last": 5, "equal": 4}
REPEATS: dict[str, Any] = {"kind": "repeats", "steps": [[4, 4], [7, 5], [9, 6]]}
IDENTICAL = {"kind": "identical", "equal": 3}
SHARE = {"kind": "share", "share": 0.33}
ALIEV: dict[str, Any] = {"kind": "share_of_answers", "more_than": 6, "share": 0.7}
LEAD: dict[str, Any] = {"kind": "lead", "bands": [[4, 7, 3], [8, 11, 2], [12, 16, 1]]}
UNREACHABLE = {"kind": "unreachable"}
RADICAL = {"kind": "radical", "begin_at": 5, "share_at_begin": 0.8, "share_at_end": 0.5}
COUNT: dict[str, Any] = {"kind": "count", "answers": 6}
STRAGGLERS = {"kind": "stragglers", "finished": 10}
EXITS: dict[str, Any] = {"kind": "exits", "exits": [[420, 5], [480, 4], [540, 3]]}
JUNK: dict[str, Any] = {"kind": "junk", "bands": [[5, 7, 5], [8, 11, 4], [12, 16, 6]]}
DIVERGED: dict[str, Any] = {"kind": "diverged", "finished": 8, "distinct": 6}


def rule(settings: dict[str, Any]) -> StopRule:
    return STOP.validate_python(settings)


def stopped(settings: dict[str, Any], answers: Answers, planned: int, at_s: Sequence[float] | None = None) -> bool:
    """Whether the rule holds after the last of these events."""
    return check([rule(settings)], Tally.of(answers, at_s or list(range(len(answers))), planned)) is not None


@pytest.mark.parametrize(
    ("settings", "answers", "planned", "should_stop"),
    [
        (AGREE, [], 12, False),
        (AGREE, [7, 7, 7], 12, False),
        (AGREE, [7, 7, 7, 7], 12, True),
        (AGREE, [7, 7, 3, 7, 7], 12, True),
        (AGREE, [7, 3, 7, 3, 7, 7, 7], 12, False),  # four equal ones, but not among the first five
        (AGREE, [None, 7, 7, None, 7, 7], 12, True),  # an attempt without an answer is not a finished answer
        (AGREE, [None] * 4, 12, False),
        (STRAGGLERS, [1, 2, 3, None, 5, 6, 7, 8, 9], 12, False),
        (STRAGGLERS, [1, 2, 3, None, 5, 6, 7, 8, 9, None], 12, True),  # 10 of 12, whatever they say
        (LAST, [1, 2, 3, 7, 7, 7], 15, False),
        (LAST, [1, 2, 3, 7, 7, 4, 7, 7], 15, True),
        (LAST, [1, 2, 3, 7, 7, 4, 5, 7, 7], 15, False),  # four, but of the last six
        (REPEATS, [7, 7, 7, 7], 15, True),
        (REPEATS, [7, 7, 7, 1, 7], 15, False),  # four of five: rule (a) is for at most four answers
        (REPEATS, [7, 7, 7, 1, 7, 7], 15, True),  # five of at most seven
        (REPEATS, [7, 1, 7, 2, 7, 3, 7, 7], 15, False),  # five of eight
        (REPEATS, [7, 1, 7, 2, 7, 3, 7, 7, 7], 15, True),  # six of at most nine
        (COUNT, [1, 2, None, 3, 4, 5], 15, False),
        (COUNT, [1, 2, None, 3, 4, 5, 6], 15, True),
        (IDENTICAL, [1, 2, 1, None, 2], 16, False),
        (IDENTICAL, [1, 2, 1, None, 2, 1], 16, True),
        (SHARE, [4, 4, 4], 12, False),  # 33 % of 12 is 3.96
        (SHARE, [4, 4, 4, 9, 4], 12, True),
        (ALIEV, [5] * 6, 10, False),  # not more than 6
        (ALIEV, [5] * 7, 10, True),
        (ALIEV, [5] * 7 + [1, 2, 3], 10, False),  # 70 % is not more than 70 %
        (ALIEV, [5] * 8 + [1, 2, 3], 14, True),
        (LEAD, [1, 1, 1], 16, False),  # the first band begins at 4
        (LEAD, [1, 1, 1, None], 16, True),
        (LEAD, [1, 1, 1, 2, 2, 1, 2], 16, False),
        (LEAD, [1, 1, 1, 2, 2, 1, 3, 3], 16, True),  # lead 2 among 8
        (LEAD, [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5], 16, True),  # lead 1 among 12
        (LEAD, [1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5], 16, False),
        (UNREACHABLE, [6, 6, 6, 1], 9, False),  # 1 + 5 running can pass 3
        (UNREACHABLE, [6, 6, 6, 6, 1], 9, False),
        (UNREACHABLE, [6, 6, 6, 6, 6, 1], 9, True),  # 1 + 3 <= 5
        (UNREACHABLE, [6, 6, 6, 1, 1, None, None], 9, False),
        (UNREACHABLE, [6, 6, 6, 1, 1, None, None, None], 9, True),  # 2 + 1 <= 3: it can tie, not pass
        (RADICAL, [6, 6, 6, 6], 9, False),  # the line begins at 5
        (RADICAL, [6, 6, 6, 6, 1], 9, True),  # 5 x 80 %
        (RADICAL, [6, 6, 6, 1, 1, 2], 9, False),
        (RADICAL, [6, 6, 6, 6, 1, 1, 2], 9, False),  # 7 x 65 % = 4.55
        (RADICAL, [6, 6, 6, 6, 1, 1, 2, 6], 9, True),  # 8 x 57.5 % = 4.6
        (RADICAL, [6, 6, 6, 6, 1, 1, 2, 3, 6], 9, True),  # 9 x 50 %
        (RADICAL, [6, 6, 6, 6, 1], 5, True),  # as many planned as the line begins with: it has one point
        (JUNK, [None, 0, None, 0], 16, False),
        (JUNK, [None, 0, None, 0, None], 16, True),
        (JUNK, [None, 0, None, 0, 3, 3], 16, False),
        (JUNK, [None, 0, None, 0, 3, 3, 3, 3], 16, True),  # 8: four are enough
        (JUNK, [None] * 5 + [3] * 7, 16, False),  # 12: six are needed
        (DIVERGED, [1, 2, 3, 4, 5, 6, 7], 16, False),
        (DIVERGED, [1, 2, 3, 4, 5, 6, 6, None], 16, True),
        (DIVERGED, [1, 2, 3, 4, 5, 0, None, None], 16, False),  # 0 is junk
    ],
)  # fmt: skip
def test_a_rule_holds_where_its_source_says(settings: dict[str, Any], answers: Answers, planned: int, should_stop: bool) -> None:
    assert stopped(settings, answers, planned) is should_stop


@pytest.mark.parametrize(
    ("at_s", "should_stop"),
    [([100, 200, 300, 470], False), ([100, 200, 300, 480], True), ([100, 200, 300], False), ([100, 200, 540], True)],
)
def test_the_later_it_is_the_fewer_answers_are_enough(at_s: list[float], should_stop: bool) -> None:
    assert stopped(EXITS, list(range(1, len(at_s) + 1)), 15, at_s) is should_stop


def leaders(answers: Answers) -> list[int]:
    """Votes, most first, with zeros behind."""
    return [*(votes for _, votes in Counter(a for a in answers if a is not None).most_common()), 0, 0]


def valid(answers: Answers) -> list[int]:
    return [a for a in answers if a is not None]


def banded(bands: list[list[int]], n: int, value: int) -> bool:
    return any(low <= n <= high and value >= needed for low, high, needed in bands)


PLAIN: dict[str, tuple[dict[str, Any], Callable[[Answers, list[float], int], bool]]] = {
    "agree": (AGREE, lambda a, at, p: leaders(valid(a)[:5])[0] >= 4),
    "last": (LAST, lambda a, at, p: leaders(valid(a)[-5:])[0] >= 4),
    "repeats": (REPEATS, lambda a, at, p: any(len(valid(a)) <= n and leaders(a)[0] >= k for n, k in REPEATS["steps"])),
    "identical": (IDENTICAL, lambda a, at, p: leaders(a)[0] >= 3),
    "share": (SHARE, lambda a, at, p: leaders(a)[0] >= 0.33 * p),
    "share_of_answers": (ALIEV, lambda a, at, p: len(valid(a)) > 6 and leaders(a)[0] / len(valid(a)) > 0.7),
    "lead": (LEAD, lambda a, at, p: banded(LEAD["bands"], len(a), leaders(a)[0] - leaders(a)[1])),
    "unreachable": (UNREACHABLE, lambda a, at, p: leaders(a)[1] + p - len(a) <= leaders(a)[0]),
    "radical": (RADICAL, lambda a, at, p: len(a) >= 5 and 100 * (p - 5) * leaders(a)[0] >= len(a) * (80 * (p - 5) - (len(a) - 5) * 30)),
    "count": (COUNT, lambda a, at, p: len(valid(a)) >= 6),
    "stragglers": (STRAGGLERS, lambda a, at, p: len(a) >= 10),
    "exits": (EXITS, lambda a, at, p: any(at[-1] >= t and len(valid(a)) >= n for t, n in EXITS["exits"])),
    "junk": (JUNK, lambda a, at, p: banded(JUNK["bands"], len(a), sum(1 for x in a if not x))),
    "diverged": (DIVERGED, lambda a, at, p: len(a) >= 8 and len({x for x in a if x}) >= 6),
}


def events(seed: int, draws: int, length: int, different: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    answers = rng.integers(-1, different, (draws, length)) * rng.integers(0, 2, (draws, length))  # much of it -1 to 0, or a few answers
    return answers, np.sort(rng.uniform(0, 700, (draws, length)), -1)


@pytest.mark.parametrize("different", [2, 4, 12])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_rule_over_many_draws_says_what_a_plain_loop_says(kind: str, different: int) -> None:
    settings, plain = PLAIN[kind]
    answers, at_s = events(seed=different, draws=40, length=16, different=different)
    said = rule(settings).should_stop(Tally(answers, at_s, 18))
    assert said.shape == answers.shape
    wanted = [
        [plain([None if a < 0 else a for a in row[: t + 1].tolist()], times[: t + 1].tolist(), 18) for t in range(16)]
        for row, times in zip(answers, at_s, strict=True)
    ]
    assert said.tolist() == wanted


def test_every_kind_of_rule_is_held_against_a_plain_loop_and_sometimes_holds() -> None:
    assert set(PLAIN) == set(STOP.json_schema()["discriminator"]["mapping"])
    answers, at_s = events(seed=2, draws=200, length=16, different=4)
    spread, _ = events(seed=12, draws=200, length=16, different=12)
    for settings, _ in PLAIN.values():
        held = np.concatenate([rule(settings).should_stop(Tally(given, at_s, 18)) for given in (answers, spread)])
        assert held.any() and not held.all(), settings


def test_draws_may_have_any_number_of_axes() -> None:
    answers, at_s = events(seed=5, draws=12, length=16, different=3)
    for settings, _ in PLAIN.values():
        flat = rule(settings).should_stop(Tally(answers, at_s, 16))
        folded = rule(settings).should_stop(Tally(answers.reshape(3, 4, 16), at_s.reshape(3, 4, 16), 16))
        assert (folded.reshape(12, 16) == flat).all()


def test_the_rule_that_is_listed_first_is_the_one_that_ended_the_question() -> None:
    gives_up, wins = rule({"kind": "diverged", "finished": 2, "distinct": 2}), rule({"kind": "count", "answers": 2})
    tally = Tally.of([1, 2], [1.0, 2.0], 4)
    assert check([gives_up, wins], tally) == StopDecision(0, given_up=True)
    assert check([wins, gives_up], tally) == StopDecision(0, given_up=False)
    decision = decide([rule(IDENTICAL), gives_up], tally)
    assert decision.by.tolist() == [NOBODY, 1]
    assert decision.stop.tolist() == decision.given_up.tolist() == [False, True]


def test_without_rules_and_without_events_a_question_goes_on() -> None:
    assert check([], Tally.of([7] * 8, list(range(8)), 8)) is None
    assert check([rule(IDENTICAL)], Tally.of([], [], 8)) is None


def test_a_value_is_counted_up_to_and_with_its_event() -> None:
    assert occurrences(np.array([[5, 5, 7, 5, 7], [1, 2, 3, 4, 5]])).tolist() == [[1, 2, 1, 3, 2], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(
    "settings", [{"kind": "agree", "of_first": 5}, {"kind": "aggree"}, {"kind": "lead", "bands": [[4, 7]]}, {**AGREE, "equals": 4}]
)
def test_a_rule_that_is_written_wrong_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(settings)
