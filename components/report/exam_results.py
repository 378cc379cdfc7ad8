"""One model's exam as it lies on disk, problem by problem."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Judgement, Problem, Vote

S = TypeVar("S", Candidate, Judgement, Vote)


class ProblemResult(NamedTuple):
    """A problem and all that one model made of it."""

    problem: Problem
    candidates: Sequence[Candidate]
    judgements: Sequence[Judgement]
    votes: Mapping[str, Vote]
    """By strategy."""

    @property
    def finished(self) -> list[Candidate]:
        """What counts as sampled: a cancelled attempt never had the chance to answer."""
        return [candidate for candidate in self.candidates if candidate.finish_reason != "cancelled"]

    @property
    def num_correct(self) -> int:
        """Finished candidates with the right answer."""
        return sum(candidate.answer == self.problem.answer for candidate in self.finished)

    @property
    def counts(self) -> Counter[int]:
        """Finished candidates by answer, without those that abstain."""
        return Counter(candidate.answer for candidate in self.finished if candidate.answer is not None)


def read(folder: Path, problems: Sequence[Problem]) -> list[ProblemResult]:
    """A run's folder: candidates, judgements and votes, joined in the problems' order; UserError where they are of another exam."""
    candidates: dict[str, list[Candidate]] = {problem.id: [] for problem in problems}
    judgements: dict[str, list[Judgement]] = {problem.id: [] for problem in problems}
    votes: dict[str, dict[str, Vote]] = {problem.id: {} for problem in problems}
    for candidate in _of_exam(folder / "candidates.parquet", Candidate, candidates):
        candidates[candidate.problem].append(candidate)
    for judgement in _of_exam(folder / "judgements.parquet", Judgement, judgements):
        judgements[judgement.problem].append(judgement)
    for vote in _of_exam(folder / "votes.parquet", Vote, votes):
        votes[vote.problem][vote.strategy] = vote
    strategies = dict.fromkeys(name for cast in votes.values() for name in cast)
    for name, cast in votes.items():
        if cast.keys() != strategies.keys():
            lacking = ", ".join(strategy for strategy in strategies if strategy not in cast)
            raise UserError(f"{folder / 'votes.parquet'}: no vote by {lacking} on problem '{name}'; vote again with `dvc repro`")
    return [ProblemResult(problem, candidates[problem.id], judgements[problem.id], votes[problem.id]) for problem in problems]


def _of_exam(path: Path, kind: type[S], exam: Container[str]) -> Iterator[S]:
    for row in rows.read(path, kind):
        if row.problem not in exam:
            raise UserError(f"{path}: problem '{row.problem}' is not in the exam; `dvc repro` runs the exam that is there now")
        yield row
