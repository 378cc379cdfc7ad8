"""Pairs for preference training: the shortest right solution against a longer or a very different one of the same problem.

Source: imagination-research, filter_dpo_data.py. Chosen is the shortest right attempt; rejected is the longest of all others ("dpo-1": what
is learnt is to be brief) or the one least like it ("dpo-2"), right or wrong. A pair is kept where both are long enough and the chosen
one is clearly shorter. Of 220,000 problems about 2,000 pairs remained there.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from components.compose.kind import AttemptGroup, Kind, assistant_turn, dropped_row, rejection_reason, user_message
from components.core.types import Candidate, Dropped, Preference
from components.lib import prompts
from components.lib.similarity import Embedding, Tfidf, cosines

LONG, COMPARED = 10_000, 8_000
"""Of a text longer than the first, so many characters are compared (filter_dpo_data.py)."""


class Dpo(Kind):
    """Preferences between two attempts."""

    file = "preferences"
    row = Preference

    kind: Literal["dpo"]
    rejected: Literal["longest", "least similar"]
    min_chars: int
    """Both texts are longer (dpo-1, dpo-2: 8,000)."""
    max_length_ratio: float
    """The chosen text's length over the rejected one's is smaller (dpo-1: 0.6, dpo-2: 0.7)."""
    max_similarity: float | None
    """The two texts' similarity is smaller (dpo-2, of embeddings: 0.83); null: it is not asked."""
    similarity: Annotated[Tfidf | Embedding, Field(discriminator="by")]

    def make(self, group: AttemptGroup) -> Iterator[Preference | Dropped]:
        problem = group.problem
        whole = [candidate for candidate in group.candidates if candidate.finish_reason == "stop"]
        broken = [candidate for candidate in group.candidates if candidate.finish_reason != "stop"]
        yield from (dropped_row("dpo", problem, one, f"ended by {one.finish_reason}") for one in broken)
        right = [candidate for candidate in whole if rejection_reason(problem, candidate) is None]
        if not right or len(whole) < 2:
            without = "none is right" if problem.answer is not None else "no verdict"
            yield dropped_row("dpo", problem, None, "no other attempt" if right else without)
            return
        chosen = min(right, key=lambda one: len(one.text))
        others = [candidate for candidate in whole if candidate is not chosen]
        rejected, similarity = self._rejected(chosen, others)
        reason = self._rejection_reason(chosen, rejected, similarity)
        if reason:
            yield dropped_row("dpo", problem, None, reason)
        else:
            yield self._pair(group, chosen, rejected, similarity)

    def _rejected(self, chosen: Candidate, others: list[Candidate]) -> tuple[Candidate, float | None]:
        if self.rejected == "longest":
            longest = max(others, key=lambda one: len(one.text))
            return longest, self._alike(chosen.text, [longest.text])[0] if self.max_similarity is not None else None
        alike = self._alike(chosen.text, [one.text for one in others])
        least = min(range(len(others)), key=alike.__getitem__)
        return others[least], alike[least]

    def _alike(self, one: str, others: Sequence[str]) -> list[float]:
        """The similarity of `one` to each of the others, 0 to 1."""
        texts = [text[:COMPARED] if len(text) > LONG else text for text in (one, *others)]
        vectors = self.similarity.fitted(texts)(texts)
        return [min(max(float(value), 0.0), 1.0) for value in cosines(vectors[:1], vectors[1:])[0]]

    def _rejection_reason(self, chosen: Candidate, rejected: Candidate, similarity: float | None) -> str | None:
        if min(len(chosen.text), len(rejected.text)) <= self.min_chars:
            return "too short"
        if not len(chosen.text) / len(rejected.text) < self.max_length_ratio:
            return "not short enough beside the other"
        if self.max_similarity is not None and similarity is not None and not similarity < self.max_similarity:
            return "too similar"
        return None

    def _pair(self, group: AttemptGroup, chosen: Candidate, rejected: Candidate, similarity: float | None) -> Preference:
        return Preference(
            id=f"dpo/{group.problem.id}",
            problem=group.problem.id,
            messages=(user_message(prompts.render(self.prompt, statement=group.problem.statement)),),
            chosen=assistant_turn(chosen),
            rejected=assistant_turn(rejected),
            candidates=(chosen.index, rejected.index),
            similarity=None if similarity is None else round(similarity, 6),
        )
