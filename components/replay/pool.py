"""A stored pool as arrays: per problem its finished attempts in order of finishing, with what each would say in a vote.

Reads candidates and problems; texts are dropped as soon as the strategies have looked at them, so a pool may be larger than memory. A
candidate is asked for its votes once per problem and not once per sample: by strategies that weigh each candidate alone. An attempt that
was cancelled is left out and counted: nobody knows when and how it would have ended, so a pool should come from a run without a stopping
rule. Knows no rules.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.lib.votes import ballot
from components.lib.votes.config import VoteConfig

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers


STRATEGIES = {name: strategy for name, strategy in ballot.STRATEGIES.items() if strategy.per_candidate}


class WeightedVote(NamedTuple):
    """The candidate at this place speaks for this answer."""

    place: int
    answer: int
    weight: float


def weighted_votes(name: str, problem: str, candidates: Sequence[Candidate], numbers: VoteConfig) -> Iterator[WeightedVote]:
    """The votes of candidates in order of finishing, by a strategy of components/lib/votes."""
    places = {candidate.index: place for place, candidate in enumerate(candidates)}
    answered = [candidate for candidate in candidates if candidate.answer is not None]
    for vote in STRATEGIES[name].cast(ballot.Ballot(problem, answered, [], [], numbers)):
        if vote.answer is not None:
            yield WeightedVote(places[vote.candidate], vote.answer, vote.weight)


class VoteArrays(NamedTuple):
    """One strategy's votes on one problem."""

    answers: "Numbers"
    """int64 [answers], rising."""
    answer_index: "Numbers"
    """int64 [attempts, votes]: each vote's place in `answers`."""
    weights: "Numbers"
    """float [attempts, votes]; 0 is no vote."""
    larger_wins: bool


class Attempts(NamedTuple):
    """One problem's finished attempts, in the order in which they finish where all begin together; arrays are [attempts]."""

    problem: Problem
    gold: int
    answers: "Numbers"
    """int64; -1 abstains."""
    at_s: "Numbers"
    tokens: "Numbers"
    modes: "Numbers"
    """The prompt of each, as text."""
    keys: "Numbers"
    """Each attempt's place in the stored order: what a draw knows it by."""
    votes: Mapping[str, VoteArrays]

    def cut(self, max_tokens: int) -> Self:
        """As if no attempt had more tokens than this: a longer one abstains, and ends when it had generated so many."""
        import numpy as np

        long = self.tokens > max_tokens
        at_s = np.where(long, self.at_s * max_tokens / np.maximum(1, self.tokens), self.at_s)
        order = np.lexsort((self.keys, at_s))
        return self._replace(
            answers=np.where(long, -1, self.answers)[order],
            at_s=at_s[order],
            tokens=np.minimum(self.tokens, max_tokens)[order],
            modes=self.modes[order],
            keys=self.keys[order],
            votes={
                name: votes._replace(answer_index=votes.answer_index[order], weights=np.where(long[:, None], 0.0, votes.weights)[order])
                for name, votes in self.votes.items()
            },
        )


class Pool(NamedTuple):
    """What replay draws from."""

    problems: list[Attempts]
    num_cancelled: int
    """Attempts that are left out."""
    num_empty: int
    """Problems without a finished attempt; they are left out."""


def read(candidates: Path, problems: Path, strategies: Iterable[str], by: VoteConfig) -> Pool:
    """The pool, in the candidates' order. Raises UserError where a candidate's problem is unknown, has no answer or comes in two pieces."""
    asked = {problem.id: problem for problem in rows.read(problems, Problem)}
    names, found, cancelled, seen = sorted(set(strategies)), [], 0, set()
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in asked or name in seen:
            raise UserError(
                f"{candidates}: problem '{name}' is {'in two pieces' if name in seen else f'not in {problems}'}; store both anew"
            )
        seen.add(name)
        stored = list(group)
        finished = [candidate for candidate in stored if candidate.finish_reason != "cancelled"]
        cancelled += len(stored) - len(finished)
        if finished:
            found.append(attempts(asked[name], finished, names, by, problems))
    if not found:
        raise UserError(f"{candidates}: holds no finished attempt; let a run with `early_stopping: []` store some")
    return Pool(found, cancelled, len(asked) - len(found))


def attempts(problem: Problem, stored: Sequence[Candidate], strategies: Sequence[str], by: VoteConfig, path: Path) -> Attempts:
    """One problem's arrays."""
    import numpy as np

    if problem.answer is None:
        raise UserError(f"{path}: problem '{problem.id}' has no answer; replay needs one for each")
    places = sorted(range(len(stored)), key=lambda place: (stored[place].seconds, place))
    finished = [stored[place] for place in places]
    return Attempts(
        problem=problem,
        gold=problem.answer,
        answers=np.array([-1 if c.answer is None else c.answer for c in finished], np.int64),
        at_s=np.array([c.seconds for c in finished], float),
        tokens=np.array([c.num_tokens for c in finished], np.int64),
        modes=np.array([c.mode for c in finished]),
        keys=np.array(places, np.int64),
        votes={name: _votes(problem.id, finished, name, by) for name in strategies},
    )


def _votes(problem: str, finished: Sequence[Candidate], name: str, by: VoteConfig) -> VoteArrays:
    import numpy as np

    said: list[list[WeightedVote]] = [[] for _ in finished]
    for vote in weighted_votes(name, problem, finished, by):
        said[vote.place].append(vote)
    known = {answer: code for code, answer in enumerate(sorted({vote.answer for mine in said for vote in mine}))}
    shape = (len(finished), max(map(len, said)))
    answer_index: Numbers = np.zeros(shape, np.int64)
    weights: Numbers = np.zeros(shape)
    for mine in said:
        for column, vote in enumerate(mine):
            answer_index[vote.place, column], weights[vote.place, column] = known[vote.answer], vote.weight
    return VoteArrays(np.array(list(known), np.int64), answer_index, weights, STRATEGIES[name].larger_wins)
