"""What a model says of a solution: the share of "yes" among several replies, as far as they can be read."""

import re
from collections.abc import Sequence

from components.core.types import Candidate, Check

VERDICT = re.compile(r"verdict\s*:?[\s*]*(yes|no)\b", re.IGNORECASE)
BARE = re.compile(r"\W*(yes|no)\W*", re.IGNORECASE)


def parse(reply: str) -> bool | None:
    """The last verdict after the thought, or a reply that is nothing but "yes" or "no"; None where it is neither."""
    said = reply.rpartition("</think>")[2]
    found = VERDICT.findall(said) or (BARE.findall(said) if BARE.fullmatch(said) else [])
    return found[-1].lower() == "yes" if found else None


def opinion(candidate: Candidate, replies: Sequence[str]) -> Check:
    """One check of all replies on a candidate."""
    said = [parse(reply) for reply in replies]
    yes, no = said.count(True), said.count(False)
    return Check(
        problem=candidate.problem,
        candidate=candidate.index,
        kind="model",
        score=yes / (yes + no) if yes + no else None,
        detail=f"{yes} yes, {no} no, {said.count(None)} unreadable",
    )
