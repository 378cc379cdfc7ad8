"""Who wins a vote, for many draws at once: one count over all voices, and where the top is tied, a look at who came first."""

from typing import TYPE_CHECKING, NamedTuple

from components.replay.pool import Votes

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

NO_ANSWER = -1


class Heard(NamedTuple):
    """The voices of drawn attempts, in order of finishing; arrays are [draws, planned * voices per attempt]."""

    votes: Votes
    says: "Numbers"
    """Each voice's place in `votes.answers`."""
    weights: "Numbers"


def hear(votes: Votes, places: "Numbers") -> Heard:
    """What the attempts at these places say; `places` is [draws, planned]."""
    return Heard(votes, votes.says[places].reshape(len(places), -1), votes.weights[places].reshape(len(places), -1))


def winner(heard: Heard, kept: "Numbers") -> "Numbers":
    """int64 [draws]: the answer with most weight among the kept attempts ([draws, planned]); NO_ANSWER where none has any weight.

    Voices stand in order of finishing, so an answer's first supporter is its first voice.
    """
    import numpy as np

    draws, num_answers = len(kept), len(heard.votes.answers)
    if not num_answers:
        return np.full(draws, NO_ANSWER)
    weights = heard.weights * np.repeat(kept, heard.weights.shape[1] // kept.shape[1], axis=1)
    where = heard.says + num_answers * np.arange(draws)[:, None]
    gathered = np.bincount(where.ravel(), weights.ravel(), draws * num_answers).reshape(draws, num_answers)
    gathered = gathered.round(9)  # sums in another order differ in the last bits
    best = gathered.max(1)
    if heard.votes.larger_wins:
        choice = num_answers - 1 - (gathered == best[:, None])[:, ::-1].argmax(1)
    else:
        leads = np.take_along_axis(gathered, heard.says, 1) == best[:, None]
        choice = heard.says[np.arange(draws), (leads & (weights > 0)).argmax(1)]
    return np.where(best > 0, heard.votes.answers[choice], NO_ANSWER)
