"""Is the code of a solution worth its running? What models said of each block, eight times over, weighed into keep or leave.

Source: NeMo-Skills' filter_novelty_significance.py (paper, section 3.2). A block's novelty is Verification or Novel Calculation, its
significance Trivial, Moderate or Significant. In doubt against the block: one vote for Verification makes it one. Unlike the
original, a verdict may be the reply's last word.
Pure functions over recorded replies; asks no model.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from components.core.params import Settings
from components.core.types import Annotation, Candidate
from components.lib.code_blocks import code_blocks

Significance = Literal["trivial", "moderate", "significant"]

_ABOUT = ("novelty", "significance")
_NOVELTY = re.compile(r"\b(verification|novel calculation)\b", re.IGNORECASE)
_SIGNIFICANCE = re.compile(r"\b(trivial|moderate|significant)\b", re.IGNORECASE)


class NoveltySignificance(Settings):
    """When a solution's code is worth its running."""

    num_votes: int
    """Replies of each sort that a block must have (NVIDIA: 8)."""
    min_moderate_share: float
    """Of the judged blocks: so many that are novel and moderate are enough where none is novel and significant (NVIDIA: 0.5)."""


class Verdict(NamedTuple):
    """What all replies together say of one block."""

    novel: bool
    significance: Significance


def novelty(reply: str) -> bool | None:
    """Whether a reply's last verdict says Novel Calculation; None where it holds no verdict."""
    said = _NOVELTY.findall(reply)
    return said[-1].lower() == "novel calculation" if said else None


def significance(reply: str) -> Significance | None:
    """A reply's last verdict; None where it holds none."""
    said = _SIGNIFICANCE.findall(reply)
    return said[-1].lower() if said else None


def combine(novelties: Sequence[bool | None], significances: Sequence[Significance | None]) -> Verdict:
    """Novel where all say so; trivial where any says so, else moderate where any does, else significant where all do; in doubt trivial."""
    if "trivial" in significances or not significances:
        level: Significance = "trivial"
    elif "moderate" in significances:
        level = "moderate"
    else:
        level = "significant" if all(one == "significant" for one in significances) else "trivial"
    return Verdict(bool(novelties) and all(one is True for one in novelties), level)


def is_useful(verdicts: Sequence[Verdict], min_moderate_share: float) -> bool:
    """At least one block novel and significant, or enough of them novel and moderate."""
    novel = [verdict.significance for verdict in verdicts if verdict.novel]
    return "significant" in novel or (bool(novel) and novel.count("moderate") >= min_moderate_share * len(verdicts))


def rejection_reason(candidate: Candidate, annotations: Iterable[Annotation], novelty_significance: NoveltySignificance) -> str | None:
    """Why a solution's code is not worth its running, or None. Replies that are missing are not guessed at: the solution waits for them."""
    said = [annotation for annotation in annotations if annotation.shown == (candidate.index,)]
    verdicts = []
    for code_block in code_blocks(candidate):
        novelties, levels = ([one.text for one in said if one.part == code_block.block and one.kind == about] for about in _ABOUT)
        if min(len(novelties), len(levels)) < novelty_significance.num_votes:
            return "code not judged often enough"
        verdicts.append(combine([novelty(text) for text in novelties], [significance(text) for text in levels]))
    if not verdicts:
        return "no code to judge"
    return None if is_useful(verdicts, novelty_significance.min_moderate_share) else "code of little use"
