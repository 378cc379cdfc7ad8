"""Rewards for reinforcement learning on problems with a known answer, as pure functions of texts.

Source: the 9th place's grpo_rewards.py (format, cosine, length). Three traps of that code are closed here: a gold that is no legal answer
raises instead of rewarding everything; equality is of integers, so the order of gold and prediction cannot matter; the length
reward compares a text with the texts of its own group, whatever else stands in the batch. Knows no trainer and no tokenizer.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from components.lib import answers
from components.lib.answers import Contest

BOX = re.compile(r"\\boxed\s*\{[^{}]*\S[^{}]*\}")


def right(text: str, gold: int, contest: Contest) -> bool:
    """Whether the text answers `gold`. Raises ValueError for a gold that is no answer of the contest: nothing may be rewarded by it."""
    if not isinstance(gold, int) or isinstance(gold, bool) or not contest.low <= gold <= contest.high:
        raise ValueError(f"the gold {gold!r} is no integer in {contest.low}..{contest.high}, so nothing can be rewarded by it")
    return answers.read(text, contest).answer == gold


def form(text: str) -> float:
    """1 where an answer is boxed before the thought ends (the sitting stops there), else 0."""
    thought, closed, _ = text.partition("</think>")
    return float(bool(closed) and BOX.search(thought) is not None)


def cosine(is_right: bool, length: int, max_length: int) -> float:
    """A right text earns 1.0 falling to 0.1 as it grows to `max_length`, a wrong one -0.1 falling to -1.0; clipped there."""
    share = min(max(length, 0), max_length) / max_length
    fallen = (1 - math.cos(math.pi * share)) / 2
    return 1.0 - 0.9 * fallen if is_right else -0.1 - 0.9 * fallen


def length(lengths: Sequence[int], rights: Sequence[bool], groups: Sequence[str]) -> list[float]:
    """0.5 for the shortest text of its group falling to -0.5 for the longest; no wrong text earns more than 0; all equally long: 0."""
    ranges: dict[str, list[int]] = defaultdict(list)
    for group, chars in zip(groups, lengths, strict=True):
        ranges[group].append(chars)
    return [
        _length(chars, min(ranges[group]), max(ranges[group]), is_right)
        for chars, is_right, group in zip(lengths, rights, groups, strict=True)
    ]


def _length(chars: int, shortest: int, longest: int, is_right: bool) -> float:
    if shortest == longest:
        return 0.0
    earned = 0.5 - (chars - shortest) / (longest - shortest)
    return earned if is_right else min(0.0, earned)
