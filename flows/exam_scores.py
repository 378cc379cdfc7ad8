"""The credit that a model earned on the exam, problem by problem: what the gate compares.

Reads data/problems/exam.parquet and runs/exam/*/candidates.parquet (or votes.parquet), and only the bytes that dvc.lock recorded. Writes
nothing, and does not know which model is better.
"""

import hashlib
from collections import Counter, defaultdict
from pathlib import Path

from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Problem, Vote
from components.lib.statistics import majority_credit
from flows.dvc_lock import Artifact, LockEntry
from flows.registry import ExamScores

PROBLEMS = "data/problems/exam.parquet"


def read(root: Path, vote: LockEntry, strategy: str, votes: int) -> ExamScores:
    """The exam behind a recorded vote: `majority` gives exact maj@k of the candidates, any other strategy its vote, right or wrong."""
    problems = _artifact(root, vote.deps, PROBLEMS)
    if strategy == "majority":
        golds = {problem.id: problem.answer for problem in rows.read(root / problems.path, Problem)}
        return ExamScores(
            problems.md5, f"majority@{votes}", _majority(root / _artifact(root, vote.deps, "candidates.parquet").path, golds, votes)
        )
    path = root / _artifact(root, vote.outs, "votes.parquet").path
    outcomes = list(rows.read(path, Vote))
    known = sorted({outcome.strategy for outcome in outcomes})
    if strategy not in known:
        raise UserError(f"params.yaml: promote.strategy: nobody voted by '{strategy}' in {path}; there are: {', '.join(known)}")
    return ExamScores(
        problems.md5, strategy, {outcome.problem: float(outcome.correct) for outcome in outcomes if outcome.strategy == strategy}
    )


def _majority(path: Path, golds: dict[str, int | None], votes: int) -> dict[str, float]:
    """Exact maj@k per problem. A cancelled attempt was stopped by us and is no vote; a problem never attempted earns nothing."""
    answers: dict[str, Counter[int | None]] = defaultdict(Counter)
    for candidate in rows.read(path, Candidate):
        if candidate.finish_reason != "cancelled":
            answers[candidate.problem][candidate.answer] += 1
    credits = {}
    for problem, gold in golds.items():
        if gold is None:
            raise UserError(f"{PROBLEMS}: problem {problem} has no answer, so the exam cannot be marked; give it one or leave it out")
        counts = {answer: count for answer, count in answers[problem].items() if answer is not None}
        taken = answers[problem].total()
        credits[problem] = majority_credit(counts, gold, answers[problem][None], min(votes, taken)) if taken else 0.0
    return credits


def _artifact(root: Path, pieces: tuple[Artifact, ...], ending: str) -> Artifact:
    """The recorded piece with this ending, once the file proves to be the recorded one."""
    piece = next(piece for piece in pieces if piece.path.endswith(ending))
    path = root / piece.path
    if not path.is_file():
        raise UserError(f"{path}: no such file, but dvc.lock records it; `dvc checkout` or `dvc pull` brings it back")
    with path.open("rb") as data:
        if hashlib.file_digest(data, "md5").hexdigest() != piece.md5:
            raise UserError(f"{path}: not the file that dvc.lock records; `dvc checkout` brings it back, `dvc repro` makes it new")
    return piece
