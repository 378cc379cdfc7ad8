"""Numbers of an exam, each with its interval over problems.

pass@k and maj@k are exact over the finished candidates of a problem; a problem with fewer than k of them is missing, not wrong, and is
counted. `voted` is what the strategy really answered after the early stop; where nobody voted a fallback is no answer (`unanswered`).
`any` is whether some finished candidate was right: the most that any selection could have reached. Selection loss is the gap between them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from components.lib import statistics
from components.report.sitting import Answered


class Precision(NamedTuple):
    """How intervals are drawn."""

    confidence: float
    resamples: int
    seed: int


Exams = dict[str, list[Answered]]


def of_model(sat: Sequence[Answered], ks: Sequence[int], precision: Precision) -> dict[str, Any]:
    """All measures of one model on at least one problem."""
    measures: dict[str, Any] = {
        "problems": len(sat),
        "candidates": sum(len(answered.candidates) for answered in sat),
        "finished": sum(len(answered.finished) for answered in sat),
        "pass@1": _over(sat, 1, pass_credit, precision),
    }
    for k in ks:
        measures[f"pass@{k}"] = _over(sat, k, pass_credit, precision)
        measures[f"maj@{k}"] = _over(sat, k, majority_credit, precision)
    measures["any"] = _mean([float(answered.right > 0) for answered in sat], precision)
    measures["voted"] = {name: _mean([float(answered.votes[name].correct) for answered in sat], precision) for name in sat[0].votes}
    votes = [answered.votes for answered in sat]
    measures["unanswered"] = {name: sum(cast[name].fallback or cast[name].answer is None for cast in votes) for name in votes[0]}
    majority = measures["voted"].get("majority")
    measures["selection_loss"] = measures["any"]["mean"] - majority["mean"] if majority else None
    return {**measures, **_tokens(sat)}


def pass_credit(answered: Answered, k: int) -> float:
    """pass@k of one problem."""
    return statistics.pass_at(len(answered.finished), answered.right, k)


def majority_credit(answered: Answered, k: int) -> float:
    """maj@k of one problem, ties sharing the credit."""
    gold = answered.problem.answer
    assert gold is not None, "an exam problem has an answer: vote refused it otherwise"
    counts = answered.counts
    return statistics.majority_credit(counts, gold, len(answered.finished) - counts.total(), k)


def compared(first: Sequence[Answered], second: Sequence[Answered], precision: Precision) -> dict[str, float]:
    """Accuracy of the majority vote of `second` minus that of `first`, problem by problem."""
    pairs = zip(first, second, strict=True)
    differences = [float(b.votes["majority"].correct) - float(a.votes["majority"].correct) for a, b in pairs]
    return statistics.paired(differences, *precision)._asdict()


def selections(sat: Sequence[Answered], precision: Precision) -> dict[str, Any]:
    """Strategies where it matters: on the problems whose finished candidates disagree; `chance` is a candidate with an answer by lot."""
    split = [answered for answered in sat if len(answered.counts) > 1]
    if not split:
        return {"problems": 0}
    chance = [answered.right / answered.counts.total() for answered in split]
    strategies = split[0].votes
    voted = {name: [float(answered.votes[name].correct) for answered in split] for name in strategies}
    return {
        "problems": len(split),
        "chance": _mean(chance, precision),
        "any": _mean([float(answered.right > 0) for answered in split], precision),
        **{name: _mean(values, precision) for name, values in voted.items()},
        "genselect_minus_majority": _gap(voted, "genselect", "majority", precision),
    }


def _gap(voted: dict[str, list[float]], first: str, second: str, precision: Precision) -> dict[str, float] | None:
    if first not in voted or second not in voted:
        return None
    return statistics.paired([a - b for a, b in zip(voted[first], voted[second], strict=True)], *precision)._asdict()


def _over(sat: Sequence[Answered], k: int, credit: Callable[[Answered, int], float], precision: Precision) -> dict[str, float]:
    enough = [answered for answered in sat if len(answered.finished) >= k]
    if not enough:
        return {"missing": len(sat)}
    return {**_mean([credit(answered, k) for answered in enough], precision), "missing": len(sat) - len(enough)}


def _mean(values: Sequence[float], precision: Precision) -> dict[str, float]:
    return statistics.interval(values, *precision)._asdict()


def _tokens(sat: Sequence[Answered]) -> dict[str, float]:
    """Tokens, and what the early stop saved: each cancelled candidate would have cost as much as a finished one of its problem."""
    spent = sum(candidate.num_tokens for answered in sat for candidate in answered.candidates)
    saved = 0.0
    for answered in sat:
        done = answered.finished
        mean = sum(candidate.num_tokens for candidate in done) / len(done) if done else 0.0
        saved += sum(max(0.0, mean - candidate.num_tokens) for candidate in answered.candidates if candidate.ended == "cancelled")
    stopped = sum(len(answered.finished) < len(answered.candidates) for answered in sat)
    return {
        "tokens": spent,
        "stopped_early": stopped,
        "tokens_saved": round(saved),
        "share_saved": saved / (spent + saved) if spent else 0.0,
    }
