"""Right chain-of-thought solutions, with their own endings or with summaries written anew."""

from collections.abc import Iterator
from typing import Literal

from components.compose import solutions
from components.compose.kind import AttemptGroup, Kind, dropped_row, rejection_reason
from components.core.types import Candidate, Dropped, Example
from components.lib import prompts, summaries


class Cot(Kind):
    """Right chain-of-thought solutions."""

    brought = "cot"
    kind: Literal["cot"]
    keep: solutions.Keep
    summaries: bool
    """Whether the ending is replaced by the longest valid one of the summaries that `annotate.<pool>.summaries` asks for."""

    def make(self, group: AttemptGroup) -> Iterator[Example | Dropped]:
        if self.summaries:
            anew = [(one, self._summarised(group, one)) for one in group.candidates]
            yield from (dropped_row("cot", group.problem, one, "no valid summary") for one, new in anew if new is None)
            group = group._replace(candidates=[new for _, new in anew if new is not None])
        question = prompts.render(self.prompt, statement=group.problem.statement)
        yield from solutions.rows("cot", group, self.keep, lambda one: rejection_reason(group.problem, one), lambda _: question)

    def _summarised(self, group: AttemptGroup, candidate: Candidate) -> Candidate | None:
        """The candidate with its new ending; one that is refused for itself is passed on as it is."""
        if rejection_reason(group.problem, candidate):
            return candidate
        texts = [one.text for one in group.annotations if one.shown == (candidate.index,) and one.kind == "summary"]
        chosen = summaries.choose(candidate, texts, group.contest)
        return None if chosen is None else summaries.joined(candidate, chosen)
