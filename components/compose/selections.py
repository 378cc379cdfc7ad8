"""The GenSelect set: several candidates of one problem, right and wrong, and the verdict that names a right one.

The sampler is NVIDIA's (nemo_skills, scripts/genselect; paper section 4.1): problems with at least one right and one wrong candidate
and four in all; no more right than wrong ones (hard instances); between two and `max_shown` shown, from a truncated normal;
up to `instances` distinct instances a problem. The verdict's text is written by rule from the known answer: a line per
solution, then the judgment. A judge model's own comparisons can take its place where there is one.
"""

import random
from collections.abc import Sequence

from components.core.types import Candidate, Example, Message, Problem
from components.lib import genselect

TRIES = 2
"""Draws per wanted instance (NVIDIA: 16 tries for 8)."""


def refuse(problem: Problem, candidates: Sequence[Candidate]) -> str | None:
    """Why a problem makes no instance, or None."""
    readable = [candidate for candidate in candidates if genselect.summary(candidate)]
    right = sum(candidate.answer == problem.answer for candidate in readable)
    if len(readable) < 4:
        return "fewer than four readable candidates"
    if right == 0:
        return "none is right"
    return "none is wrong" if right == len(readable) else None


def instances(problem: Problem, candidates: Sequence[Candidate], prompt: str, wanted: int, max_shown: int, seed: int) -> list[Example]:
    """Up to `wanted` distinct instances of a problem that `refuse` lets through."""
    draw = random.Random(f"{seed}/{problem.id}")
    readable = [candidate for candidate in candidates if genselect.summary(candidate)]
    right = [candidate for candidate in readable if candidate.answer == problem.answer]
    wrong = [candidate for candidate in readable if candidate.answer != problem.answer]
    right = draw.sample(right, min(len(right), len(wrong)))
    made: dict[tuple[str, ...], Example] = {}
    for _ in range(wanted * TRIES):
        shown = _draw(draw, right, wrong, max_shown)
        texts = tuple(genselect.summary(candidate) or "" for candidate in shown)
        if len(made) < wanted and texts not in made:
            made[texts] = _example(problem, shown, texts, prompt, len(made))
    return list(made.values())


def _draw(draw: random.Random, right: list[Candidate], wrong: list[Candidate], max_shown: int) -> list[Candidate]:
    total = min(len(right) + len(wrong), max_shown)
    first, second = draw.choice(right), draw.choice(wrong)
    others = [candidate for candidate in right + wrong if candidate is not first and candidate is not second]
    draw.shuffle(others)
    shown = [first, second, *others[: _size(draw, total) - 2]]
    draw.shuffle(shown)
    return shown


def _size(draw: random.Random, total: int) -> int:
    """A normal of mean (total + 2) // 2 and deviation (total - 2) / 6, cut to [2, total]; the original truncates to an integer."""
    while True:
        size = int(draw.gauss((total + 2) // 2, (total - 2) / 6))
        if 2 <= size <= total:
            return size


def _example(problem: Problem, shown: Sequence[Candidate], texts: Sequence[str], prompt: str, number: int) -> Example:
    good = [candidate.answer == problem.answer for candidate in shown]
    lines = [f"{i}: {candidate.answer} {'good' if good[i] else 'bad'}" for i, candidate in enumerate(shown)]
    thought = "\n".join(lines)
    return Example(
        id=f"genselect/{problem.id}/{number}",
        problem=problem.id,
        candidate=None,
        kind="genselect",
        messages=(
            Message(role="user", content=genselect.ask(prompt, problem.statement, texts), loss=False),
            Message(role="assistant", content=f"<think>\n{thought}\n</think>\nJudgment: {good.index(True)}", loss=True),
        ),
    )
