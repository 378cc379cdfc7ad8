"""Who stands behind which answer: the one order of candidates and of answers that votes, judgements and checks share."""

from collections import defaultdict
from collections.abc import Iterable

from components.core.types import Candidate


def finished(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those with an answer, in the order in which they finished."""
    return sorted((c for c in candidates if c.answer is not None), key=lambda candidate: (candidate.rank is None, candidate.rank))


def group_by_answer(candidates: Iterable[Candidate]) -> dict[int, list[Candidate]]:
    """Candidates by answer, an integer: 016 and 16 are one. The answer with most of them first, then the one that stands first."""
    found: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.answer is not None:
            found[candidate.answer].append(candidate)
    return dict(sorted(found.items(), key=lambda entry: -len(entry[1])))
