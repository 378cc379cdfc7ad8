"""What a model says of a solution: the share of "yes" among several replies, as far as they can be read."""

from collections.abc import Sequence

from components.core.types import Candidate, Check
from components.lib import verdict


def opinion(candidate: Candidate, replies: Sequence[str]) -> Check:
    """One check of all replies on a candidate."""
    said = [verdict.parse(reply) for reply in replies]
    yes, no = said.count(True), said.count(False)
    return Check(
        problem=candidate.problem,
        candidate=candidate.index,
        kind="model",
        score=yes / (yes + no) if yes + no else None,
        detail=f"{yes} yes, {no} no, {said.count(None)} unreadable",
    )
