"""Which candidates a reading shows: clusters by answer, each shown at least once, the rest in proportion.

NVIDIA's rule (nemo_skills commit 4f3782f3, genselect_preprocess.py, mode linear): each cluster's expected share of the places, rounded up
or down by chance. A problem with a single answer is not read at all.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from components.core.types import Candidate
from components.lib import genselect


def clusters(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Readable candidates by answer; largest cluster first, then the one that finished first."""
    found: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.answer is not None and genselect.summary(candidate):
            found[candidate.answer].append(candidate)
    return sorted(found.values(), key=len, reverse=True)


def draw(groups: Sequence[Sequence[Candidate]], max_shown: int, seed: int) -> list[Candidate]:
    """At most `max_shown` candidates in the order of the prompt; with more clusters than places the largest ones are shown."""
    chance = random.Random(seed)
    groups = groups[:max_shown]
    total = sum(map(len, groups))
    places = min(max_shown, total)
    shown = []
    for group in groups:
        share = len(group) * places / total
        count = int(share) + (chance.random() < share - int(share))
        shown += chance.sample(list(group), min(len(group), max(1, count)))
    while len(shown) > max_shown:  # rounding gave too many: take from a cluster that is shown more than once
        answers = [candidate.answer for candidate in shown]
        shown.remove(next(candidate for candidate in reversed(shown) if answers.count(candidate.answer) > 1))
    chance.shuffle(shown)
    return shown
