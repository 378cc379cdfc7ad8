"""The stage: every strategy on every problem of an exam."""

import itertools
from collections import defaultdict
from collections.abc import Iterator

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
    known = {problem.id: problem for problem in rows.read(problems, Problem)}
    read: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in rows.read(judgements, Judgement):
        read[judgement.problem].append(judgement)
    right: dict[str, int] = dict.fromkeys(config.strategies, 0)

    def votes() -> Iterator[Vote]:
        for ballot in _ballots(config, candidates, read, known):
            for name in config.strategies:
                cast = _vote(ballot, name, known[ballot.problem])
                right[name] += cast.correct
                yield cast

    rows.write(out, votes(), Vote)
    return {"problems": len(known), "right": right, "accuracy": {name: num / len(known) for name, num in right.items()}}


def _ballots(config: VoteBy, candidates: In, read: dict[str, list[Judgement]], known: dict[str, Problem]) -> Iterator[Ballot]:
    """One ballot per problem of the exam, also for those that got no candidate at all."""
    sat = set()
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        finished = sorted((c for c in group if c.answer is not None), key=lambda candidate: (candidate.rank is None, candidate.rank))
        sat.add(name)
        yield Ballot(name, finished, read.get(name, []), config.seed)
    for name in known:
        if name not in sat:
            yield Ballot(name, [], [], config.seed)


def _vote(ballot: Ballot, name: str, problem: Problem) -> Vote:
    if problem.answer is None:
        raise UserError(f"problem '{problem.id}' of the exam has no answer; an exam set needs one for each problem (see collect.exam)")
    support = count(ballot, STRATEGIES[name])
    answer = support[0].answer if support else None
    return Vote(problem=problem.id, strategy=name, answer=answer, gold=problem.answer, correct=answer == problem.answer, support=support)
