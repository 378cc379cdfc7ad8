"""The GenSelect set: several candidates of one problem, right and wrong, and the verdict that names a right one.

The sampler is NVIDIA's (nemo_skills, scripts/genselect; paper section 4.1): problems with at least one right and one wrong candidate
and four in all; no more right than wrong ones (hard instances); between two and `max_shown` shown, from a truncated normal;
up to `instances` distinct instances a problem. Candidates are named by their position, so equal texts keep names of their own. The
verdict's text is written by rule from the known answer: a line per solution, then the judgment.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Literal

from components.compose.kind import Group, Kind, asked, left_out
from components.compose.kinds.tir import Tir
from components.core.params import Settings
from components.core.types import Candidate, Dropped, Example, Message, Problem
from components.lib import genselect

TRIES = 2
"""Draws per wanted instance (NVIDIA: 16 tries for 8)."""


class Rehearse(Settings):
    """Right solutions added as they are, so that the model does not forget how to solve."""

    per_problem: int
    rows: Tir


class GenSelect(Kind):
    """Selections among candidates."""

    defects = ("the verdict is written by rule from the known answer: no model compared the solutions",)

    kind: Literal["genselect"]
    instances: int
    """Distinct instances per problem (NVIDIA: 8)."""
    max_shown: int
    max_chars: int
    """A longer question is left out (NVIDIA: 100,000)."""
    count_chars: int
    """From so many characters on, its tokens count (NVIDIA: 60,000)."""
    max_tokens: int
    """Of such a question (NVIDIA: 20,000), by the tokens per character that its solutions were generated with."""
    rehearse: Rehearse | None

    def prompts(self) -> list[str]:
        return [self.prompt, *(self.rehearse.rows.prompts() if self.rehearse else ())]

    def make(self, group: Group) -> Iterator[Example | Dropped]:
        problem, candidates = group.problem, group.candidates
        yield from (left_out("genselect", problem, one, "no readable summary") for one in candidates if not genselect.summary(one))
        readable = [candidate for candidate in candidates if genselect.summary(candidate)]
        reason = refuse(problem, readable)
        if reason:
            yield left_out("genselect", problem, None, reason)
        else:
            yield from self._instances(problem, readable, group.seed)
        if self.rehearse:
            solved = [row for row in self.rehearse.rows.make(group) if isinstance(row, Example)]
            yield from solved[: self.rehearse.per_problem]

    def _instances(self, problem: Problem, readable: Sequence[Candidate], seed: int) -> Iterator[Example | Dropped]:
        """Up to `instances` distinct ones, of a problem that `refuse` lets through."""
        draw = random.Random(f"{seed}/{problem.id}")
        right = [candidate for candidate in readable if candidate.answer == problem.answer]
        wrong = [candidate for candidate in readable if candidate.answer != problem.answer]
        right = draw.sample(right, min(len(right), len(wrong)))
        seen: set[bytes] = set()
        for _ in range(self.instances * TRIES):
            shown = _draw(draw, right, wrong, self.max_shown)
            texts = [genselect.summary(candidate) or "" for candidate in shown]
            digest = hashlib.sha256("\0".join(texts).encode()).digest()
            if len(seen) == self.instances or digest in seen:
                continue
            question = genselect.ask(self.prompt, problem.statement, texts)
            name = f"genselect/{problem.id}/{len(seen)}"
            seen.add(digest)
            if self._too_long(question, shown):
                yield Dropped(id=name, statement=problem.statement, reason="question too long", detail=f"{len(question)} characters")
            else:
                yield _example(name, problem, shown, question)

    def _too_long(self, question: str, shown: Sequence[Candidate]) -> bool:
        per_char = sum(one.num_tokens for one in shown) / (sum(len(one.text) for one in shown) or 1)
        counted = len(question) >= self.count_chars and len(question) * per_char > self.max_tokens
        return counted or len(question) > self.max_chars


def refuse(problem: Problem, readable: Sequence[Candidate]) -> str | None:
    """Why a problem makes no instance, or None."""
    right = sum(candidate.answer == problem.answer for candidate in readable)
    if problem.answer is None:
        return "no verdict"
    if len(readable) < 4:
        return "fewer than four readable candidates"
    if right == 0:
        return "none is right"
    return "none is wrong" if right == len(readable) else None


def _draw(draw: random.Random, right: list[Candidate], wrong: list[Candidate], max_shown: int) -> list[Candidate]:
    """One right and one wrong in any case, the others as they come, in random order."""
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


def _example(name: str, problem: Problem, shown: Sequence[Candidate], question: str) -> Example:
    good = [candidate.answer == problem.answer for candidate in shown]
    thought = "\n".join(f"{i}: {candidate.answer} {'good' if good[i] else 'bad'}" for i, candidate in enumerate(shown))
    verdict = f"<think>\n{thought}\n</think>\nJudgment: {good.index(True)}"
    return Example(
        id=name,
        problem=problem.id,
        candidate=None,
        kind="genselect",
        messages=(asked(question), Message(role="assistant", content=verdict, loss=True)),
    )
