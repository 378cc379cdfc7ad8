"""Right chain-of-thought solutions, with their own endings or with summaries written anew."""

from collections.abc import Iterator
from typing import Literal

from components.compose import solutions
from components.compose.kind import Group, Kind, left_out, refuse
from components.core.types import Candidate, Dropped, Example
from components.lib import prompts, summaries


class Cot(Kind):
    """Right chain-of-thought solutions."""

    kind: Literal["cot"]
    keep: solutions.Keep
    summaries: bool
    """Whether the ending is replaced by the longest valid one of the summaries that `remark.<pool>.summaries` asks for."""

    def make(self, group: Group) -> Iterator[Example | Dropped]:
        if self.summaries:
            anew = [(one, self._summarised(group, one)) for one in group.candidates]
            yield from (left_out("cot", group.problem, one, "no valid summary") for one, new in anew if new is None)
            group = group._replace(candidates=[new for _, new in anew if new is not None])
        question = prompts.render(self.prompt, statement=group.problem.statement)
        yield from solutions.rows("cot", group, self.keep, lambda one: refuse(group.problem, one), lambda _: question)

    def _summarised(self, group: Group, candidate: Candidate) -> Candidate | None:
        """The candidate with its new ending; one that is refused for itself is passed on as it is."""
        if refuse(group.problem, candidate):
            return candidate
        texts = [one.text for one in group.remarks if one.shown == (candidate.index,) and one.about == "summary"]
        chosen = summaries.choose(candidate, texts, group.contest)
        return None if chosen is None else candidate.model_copy(update={"text": summaries.joined(candidate.text, chosen)})
