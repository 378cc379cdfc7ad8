"""The stage: every strategy on every problem of an exam."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config, nearest
from components.core.runner import In, Metrics, Out
from components.core.types import Candidate, Judgement, Problem, Vote
from components.vote.strategies import STRATEGIES, Ballot, count


class VoteBy(Config, section="vote"):
    """Which strategies vote."""

    strategies: list[str]
    seed: int


def vote(config: VoteBy, *, candidates: In, judgements: In, problems: In, out: Out) -> Metrics:
    """Votes by every strategy and counts how many problems each gets right."""
    for name in config.strategies:
        if name not in STRATEGIES:
            raise UserError(
                f"params.yaml: vote.strategies: no strategy '{name}'{nearest(name, list(STRATEGIES))}; there are: {', '.join(STRATEGIES)}"
            )
    golds = _golds(problems)
    read: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in rows.read(judgements, Judgement):
        read[judgement.problem].append(judgement)
    right: dict[str, int] = dict.fromkeys(config.strategies, 0)

    def votes() -> Iterator[Vote]:
        for ballot in _ballots(config, candidates, read, golds):
            for name in config.strategies:
                cast = _vote(ballot, name, golds[ballot.problem])
                right[name] += cast.correct
                yield cast

    rows.write(out, votes(), Vote)
    return {"problems": len(golds), "right": right, "accuracy": {name: num / len(golds) for name, num in right.items()}}


def _golds(problems: Path) -> dict[str, int]:
    """The exam's answers by problem."""
    golds = {}
    for problem in rows.read(problems, Problem):
        if problem.answer is None:
            raise UserError(f"{problems}: problem '{problem.id}' has no answer; an exam set needs one for each problem (see collect.exam)")
        golds[problem.id] = problem.answer
    if not golds:
        raise UserError(f"{problems}: holds no problem; see collect.exam")
    return golds


def _ballots(config: VoteBy, candidates: Path, read: dict[str, list[Judgement]], golds: Iterable[str]) -> Iterator[Ballot]:
    """One ballot per problem of the exam, also for those that got no candidate at all."""
    left = dict.fromkeys(golds)  # in the exam's order
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in left:
            raise UserError(f"{candidates}: problem '{name}' is not in the exam, or not in one piece; `dvc repro` sits the exam anew")
        finished = sorted((c for c in group if c.answer is not None), key=lambda candidate: (candidate.rank is None, candidate.rank))
        del left[name]
        yield Ballot(name, finished, read.get(name, []), config.seed)
    for name in left:
        yield Ballot(name, [], [], config.seed)


def _vote(ballot: Ballot, name: str, gold: int) -> Vote:
    support = count(ballot, STRATEGIES[name])
    answer = support[0].answer if support else None
    return Vote(problem=ballot.problem, strategy=name, answer=answer, gold=gold, correct=answer == gold, support=support)
