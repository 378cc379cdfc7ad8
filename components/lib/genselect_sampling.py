"""Which candidates a training row of GenSelect shows: several of one problem, at least one right and one wrong.

The sampler is NVIDIA's (nemo_skills, scripts/genselect; paper section 4.1): problems with at least one right and one wrong candidate
and four in all; no more right than wrong ones (hard instances); between two and `max_shown` shown, from a truncated normal;
up to `instances` distinct instances a problem. Candidates are named by their position, so equal texts keep names of their own.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.core.params import Settings
from components.core.types import Candidate, Problem
from components.lib import genselect

TRIES = 2
"""Draws per wanted instance (NVIDIA: 16 tries for 8)."""


class Sampler(Settings):
    """How instances are drawn."""

    instances: int
    """Distinct instances per problem (NVIDIA: 8)."""
    max_shown: int
    max_chars: int
    """A longer question is left out (NVIDIA: 100,000)."""
    count_chars: int
    """From so many characters on, its tokens count (NVIDIA: 60,000)."""
    max_tokens: int
    """Of such a question (NVIDIA: 20,000), by the tokens per character that its solutions were generated with."""


class Instance(NamedTuple):
    """One question to whoever compares."""

    number: int
    shown: tuple[Candidate, ...]
    question: str
    too_long: bool


def readable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with a summary that can be shown."""
    return [candidate for candidate in candidates if genselect.summary(candidate)]


def refuse(problem: Problem, candidates: Sequence[Candidate]) -> str | None:
    """Why a problem with these readable candidates makes no instance, or None."""
    right = sum(candidate.answer == problem.answer for candidate in candidates)
    if problem.answer is None:
        return "no verdict"
    if len(candidates) < 4:
        return "fewer than four readable candidates"
    if right == 0:
        return "none is right"
    return "none is wrong" if right == len(candidates) else None


def instances(problem: Problem, candidates: Sequence[Candidate], sampler: Sampler, prompt: str, seed: int) -> Iterator[Instance]:
    """Up to `sampler.instances` distinct ones, of a problem and readable candidates that `refuse` lets through."""
    draw = random.Random(f"{seed}/{problem.id}")
    right = [candidate for candidate in candidates if candidate.answer == problem.answer]
    wrong = [candidate for candidate in candidates if candidate.answer != problem.answer]
    right = draw.sample(right, min(len(right), len(wrong)))
    seen: set[bytes] = set()
    for _ in range(sampler.instances * TRIES):
        shown = _draw(draw, right, wrong, sampler.max_shown)
        digest = hashlib.sha256("\0".join(genselect.summary(candidate) or "" for candidate in shown).encode()).digest()
        if len(seen) < sampler.instances and digest not in seen:
            question = asked(problem, shown, prompt)
            yield Instance(len(seen), shown, question, _too_long(question, shown, sampler))
            seen.add(digest)


def asked(problem: Problem, shown: Sequence[Candidate], prompt: str) -> str:
    """The question that shows these candidates in this order."""
    return genselect.ask(prompt, problem.statement, [genselect.summary(candidate) or "" for candidate in shown])


def _too_long(question: str, shown: Sequence[Candidate], sampler: Sampler) -> bool:
    per_char = sum(one.num_tokens for one in shown) / (sum(len(one.text) for one in shown) or 1)
    counted = len(question) >= sampler.count_chars and len(question) * per_char > sampler.max_tokens
    return counted or len(question) > sampler.max_chars


def _draw(draw: random.Random, right: list[Candidate], wrong: list[Candidate], max_shown: int) -> tuple[Candidate, ...]:
    """One right and one wrong in any case, the others as they come, in random order."""
    total = min(len(right) + len(wrong), max_shown)
    first, second = draw.choice(right), draw.choice(wrong)
    others = [candidate for candidate in right + wrong if candidate is not first and candidate is not second]
    draw.shuffle(others)
    shown = [first, second, *others[: _size(draw, total) - 2]]
    draw.shuffle(shown)
    return tuple(shown)


def _size(draw: random.Random, total: int) -> int:
    """A normal of mean (total + 2) // 2 and deviation (total - 2) / 6, cut to [2, total]; the original truncates to an integer."""
    while True:
        size = int(draw.gauss((total + 2) // 2, (total - 2) / 6))
        if 2 <= size <= total:
            return size
