"""The stage: every strategy on every problem of an exam."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from components.core import rows
from components.core.errors import UserError
from components.core.runner import In, Metrics, Out
from components.core.types import Candidate, Check, Judgement, Problem, QuestionRecord, Vote
from components.lib.answer_groups import finished
from components.lib.votes.ballot import Ballot, decide, strategies
from components.lib.votes.config import VoteConfig

R = TypeVar("R", Judgement, Check)


def vote(config: VoteConfig, *, candidates: In, questions: In, judgements: In, checks: In, problems: In, out: Out) -> Metrics:
    """Votes by every strategy and counts how many problems each gets right."""
    strategies(config.strategies)  # refuses a name that is none
    golds = _golds(problems)
    records = list(rows.read(questions, QuestionRecord))
    given_up, late = {question.problem for question in records if question.given_up}, {q.problem for q in records if q.limit_s <= 0}
    read, checked = _by_problem(judgements, Judgement), _by_problem(checks, Check)
    correct: dict[str, int] = dict.fromkeys(config.strategies, 0)
    unanswered: dict[str, int] = dict.fromkeys(config.strategies, 0)

    def votes() -> Iterator[Vote]:
        for name, cast in _cast(candidates, golds):
            ballot = Ballot(name, [] if name in given_up else cast, read[name], checked[name], config, name in late)
            for strategy in config.strategies:
                decided = decide(ballot, strategy, golds[name])
                correct[strategy] += decided.correct
                unanswered[strategy] += decided.fallback or decided.answer is None
                yield decided

    rows.write(out, votes(), Vote)
    accuracy = {name: num / len(golds) for name, num in correct.items()}
    return {"problems": len(golds), "correct": correct, "accuracy": accuracy, "unanswered": unanswered}


def _golds(problems: Path) -> dict[str, int]:
    """The exam's answers by problem."""
    golds = {}
    for problem in rows.read(problems, Problem):
        if problem.answer is None:
            raise UserError(
                f"{problems}: problem '{problem.id}' has no answer; an exam set needs one for each problem (see `use: exam` under sources)"
            )
        golds[problem.id] = problem.answer
    if not golds:
        raise UserError(f"{problems}: holds no problem; see `use: exam` under sources")
    return golds


def _by_problem(path: Path, kind: type[R]) -> dict[str, list[R]]:
    found: dict[str, list[R]] = defaultdict(list)
    for row in rows.read(path, kind):
        found[row.problem].append(row)
    return found


def _cast(candidates: Path, golds: Iterable[str]) -> Iterator[tuple[str, list[Candidate]]]:
    """Per problem of the exam its candidates with an answer as they finished; also for a problem that got no candidate at all."""
    left = dict.fromkeys(golds)  # in the exam's order
    for name, group in itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem):
        if name not in left:
            raise UserError(f"{candidates}: problem '{name}' is not in the exam, or not in one piece; `dvc repro` runs the exam anew")
        del left[name]
        yield name, finished(group)
    for name in left:
        yield name, []
