"""Strategies that trust a candidate by the entropy of its tokens, as the notebooks of AIMO-3 do.

A candidate whose entropies are not known has no vote; where none is known nobody votes, which is seen in the result. Entropies are kept
as means of windows of WINDOW tokens, so a tail is a whole number of windows.
"""

import math
from collections.abc import Iterable
from statistics import fmean, median

from components.core.types import Candidate
from components.lib.answer_groups import group_by_answer
from components.lib.votes.ballot import Ballot, WeightedVote, each, strategy

WINDOW = 32
"""Tokens behind each entry of Candidate.entropies (its last one may hold fewer)."""
LEAST = 1e-9
"""The floor under a mean entropy (the public base notebook of AIMO-3)."""


@strategy(per_candidate=True)
def inverse_entropy(ballot: Ballot) -> Iterable[WeightedVote]:
    """1 / mean entropy over the whole text (Bisiadis, public base of AIMO-3's winner).

    Its weakness is known: one wrong attempt that is very sure (entropy 0.05: weight 20) outvotes four that are not (0.25: 4 each).
    """
    return each(ballot, lambda candidate: 1.0 / max(fmean(candidate.entropies), LEAST) if candidate.entropies else 0.0)


@strategy()
def tail_entropy(ballot: Ballot) -> Iterable[WeightedVote]:
    """share * (its share of the votes) + confidence * certainty + consensus * unity, for each answer (2nd place of AIMO-3).

    Published are the sum, its factors, the tail, and that an answer's entropy is the median of its supporters'; how the last two terms are
    computed is not. Here certainty is exp(-median tail entropy), and unity is the share of the answer's supporters whose tail is no less
    sure than the median of all candidates. Both lie in 0..1, so votes lead.
    """
    by = ballot.config.tail_entropy
    tails = {candidate.index: _tail(candidate, by.tokens) for candidate in ballot.candidates if candidate.entropies}
    usual = median(tails.values()) if tails else 0.0
    for answer, supporters in group_by_answer(ballot.candidates).items():
        known = [candidate.index for candidate in supporters if candidate.index in tails]
        if known:
            certainty = math.exp(-median(tails[index] for index in known))
            unity = fmean(tails[index] <= usual for index in known)
            score = by.share * len(known) / len(tails) + by.confidence * certainty + by.consensus * unity
            yield from (WeightedVote(index, answer, score / len(known)) for index in known)


def _tail(candidate: Candidate, tokens: int) -> float:
    """Mean entropy of the last so many tokens."""
    return fmean(candidate.entropies[-math.ceil(tokens / WINDOW) :])
