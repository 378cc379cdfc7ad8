"""Section `vote`: which strategies vote, and the numbers of those that have any, one group per strategy of that name.

A recipe changes a strategy by its group; the values of the sources stand beside each field.
"""

from pydantic import Field

from components.core.params import Config, Settings


class Weighted(Settings):
    """Small and round answers weigh less. 2nd place of AIMO-2 (imagination_aimo2/aggregators.py): 20, 100, 0.6."""

    up_to: int
    multiple_of: int = Field(ge=1)
    weight: float = Field(gt=0)


class CodeFirst(Settings):
    """Voices of an attempt's print and of its box. The 2nd place's other aggregator: 1, 1, 0."""

    printed: float = Field(ge=0)
    boxed_alone: float = Field(ge=0)
    """Of a box whose attempt printed no answer."""
    boxed_beside: float = Field(ge=0)
    """Of a box whose attempt printed one."""


class Agreement(Settings):
    """Bonus and penalties, each a factor. 20th place of AIMO-2 (Paterek): "large" bonus, sizes not published; 1 switches a part off."""

    bonus: float = Field(ge=1)
    """Where box and print are equal."""
    short_chars: int = Field(ge=0)
    """A last program of fewer characters is short."""
    short: float = Field(gt=0, le=1)
    small_up_to: int
    small: float = Field(gt=0, le=1)


class Distinct(Settings):
    """Discount of near-duplicate programs. Paterek: those that share a long common prefix with another; sizes not published."""

    prefix_chars: int = Field(ge=1)
    weight: float = Field(gt=0, le=1)


class TailEntropy(Settings):
    """Score of an answer = share * its share of the votes + confidence * ... + consensus * ... (see by_entropy.tail_entropy).

    2nd place of AIMO-3 (varianceofx): 256 tokens and 2.0, 0.3, 0.5 in the write-up; 96 tokens and 3.0, 0.1, 0.3 in the notebook.
    """

    tokens: int = Field(ge=1)
    share: float = Field(ge=0)
    confidence: float = Field(ge=0)
    consensus: float = Field(ge=0)


class Verified(Settings):
    """argmax of votes * (1 + gain * verified share) over the `top` answers (arXiv 2603.27844's repository; gain is its lambda)."""

    top: int = Field(ge=1)
    gain: float = Field(ge=0)


class VoteConfig(Config, section="vote"):
    """Which strategies vote and with what numbers."""

    strategies: list[str]
    fallback: int | None
    """What is answered where nobody voted, marked as such and never right: null, or a number (the 2nd place of AIMO-2: 49; others 0)."""
    fallback_out_of_time: int | None
    """The same where the run was over before the question's turn came (the 2nd place: 210)."""
    seed: int
    """Of the lot in `arbitrary`."""
    weighted: Weighted
    code_first: CodeFirst
    agreement: Agreement
    distinct: Distinct
    tail_entropy: TailEntropy
    verified: Verified
