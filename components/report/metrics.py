"""Numbers of an exam, each with its interval over problems.

pass@k and maj@k are exact over the finished candidates of a problem; a problem with fewer than k of them is missing, not wrong, and is
counted. `vote_accuracy` is what the strategy really answered after the early stop; where nobody voted a fallback is no answer
(`unanswered`). `oracle` is whether some finished candidate was right: the most that any selection could have reached. Selection loss is the
gap between them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from components.lib import statistics
from components.report.exam_results import ProblemResult


class Bootstrap(NamedTuple):
    """How intervals are drawn."""

    confidence: float
    resamples: int
    seed: int


Exams = dict[str, list[ProblemResult]]


def model_metrics(exam: Sequence[ProblemResult], k_values: Sequence[int], bootstrap: Bootstrap) -> dict[str, Any]:
    """All metrics of one model on at least one problem."""
    metrics: dict[str, Any] = {
        "problems": len(exam),
        "candidates": sum(len(result.candidates) for result in exam),
        "finished": sum(len(result.finished) for result in exam),
        "pass@1": _over(exam, 1, pass_credit, bootstrap),
    }
    for k in k_values:
        metrics[f"pass@{k}"] = _over(exam, k, pass_credit, bootstrap)
        metrics[f"maj@{k}"] = _over(exam, k, majority_credit, bootstrap)
    metrics["oracle"] = _mean([float(result.num_correct > 0) for result in exam], bootstrap)
    metrics["vote_accuracy"] = {name: _mean([float(result.votes[name].correct) for result in exam], bootstrap) for name in exam[0].votes}
    votes = [result.votes for result in exam]
    metrics["unanswered"] = {name: sum(cast[name].fallback or cast[name].answer is None for cast in votes) for name in votes[0]}
    majority = metrics["vote_accuracy"].get("majority")
    metrics["selection_loss"] = metrics["oracle"]["mean"] - majority["mean"] if majority else None
    return {**metrics, **_tokens(exam)}


def pass_credit(result: ProblemResult, k: int) -> float:
    """pass@k of one problem."""
    return statistics.pass_at(len(result.finished), result.num_correct, k)


def majority_credit(result: ProblemResult, k: int) -> float:
    """maj@k of one problem, ties sharing the credit."""
    gold = result.problem.answer
    assert gold is not None, "an exam problem has an answer: vote refused it otherwise"
    counts = result.counts
    return statistics.majority_credit(counts, gold, len(result.finished) - counts.total(), k)


def compare(first: Sequence[ProblemResult], second: Sequence[ProblemResult], bootstrap: Bootstrap) -> dict[str, float]:
    """Accuracy of the majority vote of `second` minus that of `first`, problem by problem."""
    pairs = zip(first, second, strict=True)
    differences = [float(b.votes["majority"].correct) - float(a.votes["majority"].correct) for a, b in pairs]
    return statistics.paired(differences, *bootstrap)._asdict()


def disputed(exam: Sequence[ProblemResult], bootstrap: Bootstrap) -> dict[str, Any]:
    """Strategies where it matters: on the problems whose finished candidates disagree; `chance` is a candidate with an answer at random."""
    split = [result for result in exam if len(result.counts) > 1]
    if not split:
        return {"problems": 0}
    chance = [result.num_correct / result.counts.total() for result in split]
    strategies = split[0].votes
    voted = {name: [float(result.votes[name].correct) for result in split] for name in strategies}
    return {
        "problems": len(split),
        "chance": _mean(chance, bootstrap),
        "oracle": _mean([float(result.num_correct > 0) for result in split], bootstrap),
        **{name: _mean(values, bootstrap) for name, values in voted.items()},
        "genselect_minus_majority": _gap(voted, "genselect", "majority", bootstrap),
    }


def _gap(voted: dict[str, list[float]], first: str, second: str, bootstrap: Bootstrap) -> dict[str, float] | None:
    if first not in voted or second not in voted:
        return None
    return statistics.paired([a - b for a, b in zip(voted[first], voted[second], strict=True)], *bootstrap)._asdict()


def _over(exam: Sequence[ProblemResult], k: int, credit: Callable[[ProblemResult, int], float], bootstrap: Bootstrap) -> dict[str, float]:
    enough = [result for result in exam if len(result.finished) >= k]
    if not enough:
        return {"missing": len(exam)}
    return {**_mean([credit(result, k) for result in enough], bootstrap), "missing": len(exam) - len(enough)}


def _mean(values: Sequence[float], bootstrap: Bootstrap) -> dict[str, float]:
    return statistics.interval(values, *bootstrap)._asdict()


def _tokens(exam: Sequence[ProblemResult]) -> dict[str, float]:
    """Tokens, and what the early stop saved: each cancelled candidate would have cost as much as a finished one of its problem."""
    spent = sum(candidate.num_tokens for result in exam for candidate in result.candidates)
    saved = 0.0
    for result in exam:
        done = result.finished
        mean = sum(candidate.num_tokens for candidate in done) / len(done) if done else 0.0
        saved += sum(max(0.0, mean - candidate.num_tokens) for candidate in result.candidates if candidate.finish_reason == "cancelled")
    stopped = sum(len(result.finished) < len(result.candidates) for result in exam)
    return {
        "tokens": spent,
        "stopped_early": stopped,
        "tokens_saved": round(saved),
        "share_saved": saved / (spent + saved) if spent else 0.0,
    }
