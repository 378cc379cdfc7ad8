"""Who wins a vote, for many draws at once: one count over all votes, and where the top is tied, a look at who came first."""

from typing import TYPE_CHECKING, NamedTuple

from components.replay.pool import VoteArrays

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

NO_ANSWER = -1


class SampledVotes(NamedTuple):
    """The votes of sampled attempts, in order of finishing; arrays are [samples, planned * votes per attempt]."""

    votes: VoteArrays
    answer_index: "Numbers"
    """Each vote's place in `votes.answers`."""
    weights: "Numbers"


def gather_votes(votes: VoteArrays, places: "Numbers") -> SampledVotes:
    """What the attempts at these places say; `places` is [samples, planned]."""
    return SampledVotes(votes, votes.answer_index[places].reshape(len(places), -1), votes.weights[places].reshape(len(places), -1))


def winning_answers(sampled: SampledVotes, kept: "Numbers") -> "Numbers":
    """int64 [samples]: the answer with most weight among the kept attempts ([samples, planned]); NO_ANSWER where none has any weight.

    Votes stand in order of finishing, so an answer's first supporter is its first vote.
    """
    import numpy as np

    draws, num_answers = len(kept), len(sampled.votes.answers)
    if not num_answers:
        return np.full(draws, NO_ANSWER)
    weights = sampled.weights * np.repeat(kept, sampled.weights.shape[1] // kept.shape[1], axis=1)
    where = sampled.answer_index + num_answers * np.arange(draws)[:, None]
    gathered = np.bincount(where.ravel(), weights.ravel(), draws * num_answers).reshape(draws, num_answers)
    gathered = gathered.round(9)  # sums in another order differ in the last bits
    best = gathered.max(1)
    if sampled.votes.larger_wins:
        choice = num_answers - 1 - (gathered == best[:, None])[:, ::-1].argmax(1)
    else:
        leads = np.take_along_axis(gathered, sampled.answer_index, 1) == best[:, None]
        choice = sampled.answer_index[np.arange(draws), (leads & (weights > 0)).argmax(1)]
    return np.where(best > 0, sampled.votes.answers[choice], NO_ANSWER)
