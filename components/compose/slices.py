"""Which problems and attempts a set is made from: how often they were solved, how long the attempts are, how hard, from where.

A curriculum is a list of slices in params.yaml, never new code: the 9th place's "trace above 12,800 tokens, solved more than half the time"
is {pass_rate: "(0.5, 1]", tokens: "(12800, inf)"}. Without slices everything is taken; with several, what any of them takes.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Annotated

from pydantic import AfterValidator

from components.core.params import Settings
from components.core.types import Candidate, Problem

_INTERVAL = re.compile(r"([\[(])\s*(-?[\d.]+)\s*,\s*(-?[\d.]+|inf)\s*([\])])")


def _checked(text: str) -> str:
    found = _INTERVAL.fullmatch(text)
    if not found or float(found[2]) > float(found[3]):
        raise ValueError("write an interval as (0.1, 0.9), [0, 0.3] or [5000, inf): a square bracket takes its end in")
    return text


Interval = Annotated[str, AfterValidator(_checked)]


class Slice(Settings):
    """Takes what meets all of its conditions; null and [] ask for nothing."""

    sources: list[str]
    pass_rate: Interval | None
    """Share of a problem's attempts that are right."""
    pass_rate_mode: str | None
    """The mode whose attempts count for the pass rate; null: all of them."""
    tokens: Interval | None
    """Generated tokens of the attempt. A problem without attempts has none."""
    difficulty: Interval | None
    """As the source gives it; a problem without one is in no slice that asks for it."""


def within(value: float, interval: str) -> bool:
    """Whether a value lies in an interval written as in mathematics."""
    low, low_in, high, high_in = _ends(interval)
    return (low <= value if low_in else low < value) and (value <= high if high_in else value < high)


@cache
def _ends(interval: str) -> tuple[float, bool, float, bool]:
    found = _INTERVAL.fullmatch(interval)
    assert found, interval
    return float(found[2]), found[1] == "[", float(found[3]), found[4] == "]"


def pass_rate(problem: Problem, candidates: Sequence[Candidate], mode: str | None) -> float | None:
    """Share of right ones among the attempts that were not called off; None where there are none."""
    tried = [one for one in candidates if one.finish_reason != "cancelled" and mode in (None, one.mode)]
    if not tried or problem.answer is None:
        return None
    return sum(one.answer == problem.answer for one in tried) / len(tried)


def taken(slices: Sequence[Slice], problem: Problem, candidates: Sequence[Candidate]) -> list[Candidate] | None:
    """The attempts that some slice takes, in their order; None where none takes the problem at all."""
    open_to = [one for one in slices if _takes(one, problem, candidates)]
    if not open_to and slices:
        return None
    return [one for one in candidates if not slices or any(s.tokens is None or within(one.num_tokens, s.tokens) for s in open_to)]


def _takes(wanted: Slice, problem: Problem, candidates: Sequence[Candidate]) -> bool:
    if wanted.sources and problem.source not in wanted.sources:
        return False
    if wanted.difficulty and (problem.difficulty is None or not within(problem.difficulty, wanted.difficulty)):
        return False
    if wanted.pass_rate is None:
        return True
    rate = pass_rate(problem, candidates, wanted.pass_rate_mode)
    return rate is not None and within(rate, wanted.pass_rate)
