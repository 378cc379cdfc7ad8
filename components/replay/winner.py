"""Who wins a vote, for many draws at once: one matrix product, and a closer look where the top is tied."""

from typing import TYPE_CHECKING

from components.replay.pool import Votes

if TYPE_CHECKING:
    from components.lib.rules.tally import Numbers

NO_ANSWER = -1


def winner(votes: Votes, places: "Numbers", kept: "Numbers") -> "Numbers":
    """int64 [draws]: the answer with most weight among the kept of the drawn attempts (both [draws, planned]), or NO_ANSWER.

    Attempts stand in order of finishing, so that the first supporter of an answer is the one at its lowest place.
    """
    import numpy as np

    if not len(votes.answers):
        return np.full(len(places), NO_ANSWER)
    present: Numbers = np.zeros((len(places), len(votes.weights)))
    np.put_along_axis(present, places, kept, axis=1)
    gathered = (present @ votes.weights).round(9)  # sums in another order differ in the last bits
    best = gathered.max(1)
    tied = gathered == best[:, None]
    if votes.larger_wins:
        choice = len(votes.answers) - 1 - tied[:, ::-1].argmax(1)
    else:
        choice = tied.argmax(1)
        doubtful = np.flatnonzero((tied.sum(1) > 1) & (best > 0))
        choice[doubtful] = _first(votes, present[doubtful] > 0, tied[doubtful])
    return np.where(best > 0, votes.answers[choice], NO_ANSWER)


def _first(votes: Votes, present: "Numbers", tied: "Numbers") -> "Numbers":
    """Of the tied answers, the one whose first present supporter finished first; [draws]."""
    import numpy as np

    since = np.full(tied.shape, len(votes.weights))
    for column in range(len(votes.answers)):
        supports = votes.weights[:, column] > 0
        speaks = present[:, supports]
        since[:, column] = np.where(speaks.any(1), np.flatnonzero(supports)[speaks.argmax(1)], since[:, column])
    return np.where(tied, since, len(votes.weights)).argmin(1)
