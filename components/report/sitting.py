"""One model's exam as it lies on disk, problem by problem."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from components.core import rows
from components.core.types import Candidate, Judgement, Problem, Vote


class Answered(NamedTuple):
    """A problem and all that one model made of it."""

    problem: Problem
    candidates: Sequence[Candidate]
    judgements: Sequence[Judgement]
    votes: Mapping[str, Vote]
    """By strategy."""

    @property
    def finished(self) -> list[Candidate]:
        """What counts as sampled: a cancelled attempt never had the chance to answer."""
        return [candidate for candidate in self.candidates if candidate.ended != "cancelled"]

    @property
    def right(self) -> int:
        """Finished candidates with the right answer."""
        return sum(candidate.answer == self.problem.answer for candidate in self.finished)

    @property
    def counts(self) -> Counter[int]:
        """Finished candidates by answer, without those that abstain."""
        return Counter(candidate.answer for candidate in self.finished if candidate.answer is not None)


def read(folder: Path, problems: Sequence[Problem]) -> list[Answered]:
    """A sitting's folder: candidates, judgements and votes, joined in the problems' order."""
    candidates: dict[str, list[Candidate]] = defaultdict(list)
    judgements: dict[str, list[Judgement]] = defaultdict(list)
    votes: dict[str, dict[str, Vote]] = defaultdict(dict)
    for candidate in rows.read(folder / "candidates.parquet", Candidate):
        candidates[candidate.problem].append(candidate)
    for judgement in rows.read(folder / "judgements.parquet", Judgement):
        judgements[judgement.problem].append(judgement)
    for vote in rows.read(folder / "votes.parquet", Vote):
        votes[vote.problem][vote.strategy] = vote
    return [Answered(problem, candidates[problem.id], judgements[problem.id], votes[problem.id]) for problem in problems]
