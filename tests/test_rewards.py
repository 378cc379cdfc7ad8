"""Rewards: no text earns anything by a gold that is none, lengths are compared inside a group, and the curves end where they should."""

import pytest

from components.lib import rewards
from components.lib.answers import Contest

CONTEST = Contest(low=0, high=999, modulus=1000)


@pytest.mark.parametrize("gold", [None, "7", 7.0, True, -1, 1000])
def test_a_gold_that_is_no_answer_rewards_nothing(gold: object) -> None:
    with pytest.raises(ValueError, match="so nothing can be rewarded by it"):
        rewards.right("\\boxed{7}", gold, CONTEST)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "gold", "is_right"), [("\\boxed{07}", 7, True), ("\\boxed{8}", 7, False), ("7", 7, False), ("\\boxed{}", 0, False)]
)
def test_right_is_the_sitting_s_own_reading(text: str, gold: int, is_right: bool) -> None:
    assert rewards.right(text, gold, CONTEST) == is_right


def test_gold_and_prediction_change_places_without_effect() -> None:
    for one, other in [(7, 7), (7, 8), (0, 1000 % 1000)]:
        assert rewards.right(f"\\boxed{{{one}}}", other, CONTEST) == rewards.right(f"\\boxed{{{other}}}", one, CONTEST)


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("so \\boxed{7}\n</think>", 1.0),
        ("</think>\\boxed{7}", 0.0),
        ("so \\boxed{7}", 0.0),
        ("\\boxed{}</think>", 0.0),
        ("</think>", 0.0),
    ],
)
def test_the_form_is_a_box_before_the_thought_ends(text: str, earned: float) -> None:
    assert rewards.form(text) == earned


@pytest.mark.parametrize(
    ("is_right", "length", "earned"),
    [
        (True, 0, 1.0),
        (True, 15_000, 0.55),
        (True, 30_000, 0.1),
        (True, 90_000, 0.1),
        (False, 0, -0.1),
        (False, 30_000, -1.0),
        (False, 90_000, -1.0),
    ],
)
def test_the_cosine_falls_with_length_and_is_clipped(is_right: bool, length: int, earned: float) -> None:
    assert rewards.cosine(is_right, length, 30_000) == pytest.approx(earned)


def test_a_right_text_always_earns_more_than_a_wrong_one_by_the_cosine() -> None:
    lengths = range(0, 40_000, 500)
    assert min(rewards.cosine(True, n, 30_000) for n in lengths) > max(rewards.cosine(False, n, 30_000) for n in lengths)


def test_lengths_are_compared_inside_their_group_alone() -> None:
    lengths, rights, groups = [100, 200, 300, 5000, 9000], [True, False, True, True, False], ["a", "a", "a", "b", "b"]
    assert rewards.length(lengths, rights, groups) == [0.5, 0.0, -0.5, 0.5, -0.5]
    alone = rewards.length(lengths[:3], rights[:3], groups[:3]) + rewards.length(lengths[3:], rights[3:], groups[3:])
    assert rewards.length(lengths, rights, groups) == alone
    assert rewards.length(lengths[::-1], rights[::-1], groups[::-1]) == alone[::-1]


def test_a_short_wrong_text_earns_nothing_and_equal_lengths_earn_nothing() -> None:
    assert rewards.length([100, 300], [False, False], ["a", "a"]) == [0.0, -0.5]
    assert rewards.length([100, 100], [True, False], ["a", "a"]) == [0.0, 0.0]
    assert rewards.length([], [], []) == []
