"""Strategies that look at what was found out after the run: GenSelect's judgements, and checks of an answer."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from components.core.types import Candidate, Check
from components.lib.answer_groups import group_by_answer
from components.lib.votes.ballot import Ballot, WeightedVote, each, strategy
from components.lib.votes.by_answer import majority


@strategy()
def genselect(ballot: Ballot) -> Iterable[WeightedVote]:
    """A vote per judgement of the last round that chose the candidate; a problem without any, since all agree, falls to its majority.

    A verdict that names no candidate abstains; where the whole round abstains, the majority decides.

    Judgements that know nothing of each other are one round, so the most chosen answer wins; a knockout's last round is its final.
    """
    if not ballot.judgements:
        return majority(ballot)
    last = max(judgement.round for judgement in ballot.judgements)
    chosen = [judgement.chosen for judgement in ballot.judgements if judgement.round == last and judgement.parsed is not None]
    if not chosen:
        return majority(ballot)
    return each(ballot, lambda candidate: float(chosen.count(candidate.index)))


@strategy()
def verified(ballot: Ballot) -> Iterable[WeightedVote]:
    """Votes * (1 + gain * how far the answer was verified), for the `top` answers; where all agree, plain votes.

    The extent is the mean over the kinds of checks that could say something about the answer (0 where none could). Below the `top` answers
    votes count as they are, which cannot win: nothing there has more of them.
    """
    by, supporters = ballot.config.verified, group_by_answer(ballot.candidates)
    leading = list(supporters.items())[: by.top] if len(supporters) > 1 else []
    extent = {answer: _extent(ballot.checks, behind) for answer, behind in leading}
    return each(ballot, lambda candidate: 1.0 + by.gain * (extent.get(candidate.answer, 0.0) if candidate.answer is not None else 0.0))


def _extent(checks: Sequence[Check], behind: Sequence[Candidate]) -> float:
    indices = {candidate.index for candidate in behind}
    scores: dict[str, list[float]] = defaultdict(list)
    for check in checks:
        if check.candidate in indices and check.score is not None:
            scores[check.kind].append(check.score)
    return fmean(fmean(found) for found in scores.values()) if scores else 0.0
