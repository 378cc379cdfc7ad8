"""The GenSelect set: several candidates of one problem, right and wrong, and a text that names a right one.

lib/selections.py says which candidates a row shows. The text is a model's comparison of them, kept where it chose a right one (as NVIDIA
did: paper section 4.1), or it is written by rule from the known answer: a line per solution, then the judgment.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from components.compose.kind import AttemptGroup, Kind, dropped_row, user_message
from components.core.params import Settings
from components.core.types import Annotation, Candidate, Dropped, Example, Message, Problem
from components.lib import genselect, genselect_sampling
from components.lib.genselect_sampling import Sampler
from components.lib.summaries import longest


class ByRule(Sampler):
    """Texts written from the known answer."""

    by: Literal["rule"]


class ByModel(Settings):
    """The comparisons that `annotate.<pool>.comparisons` asks for."""

    by: Literal["model"]
    summaries: bool
    """Whether the text is the longest summary that chooses as its comparison does, else the comparison as it is; a text without one is
    left out. NVIDIA: true, at 1 to 2 % of accuracy."""


class GenSelect(Kind):
    """Selections among candidates."""

    kind: Literal["genselect"]
    completions: Annotated[ByRule | ByModel, Field(discriminator="by")]

    def defects(self) -> tuple[str, ...]:
        by_rule = "the verdict is written by rule from the known answer: no model compared the solutions"
        return (by_rule,) if isinstance(self.completions, ByRule) else ()

    def make(self, group: AttemptGroup) -> Iterator[Example | Dropped]:
        problem, readable = group.problem, genselect_sampling.readable(group.candidates)
        known = {one.index: one for one in readable}
        unreadable = (candidate for candidate in group.candidates if candidate.index not in known)
        yield from (dropped_row("genselect", problem, one, "no readable summary") for one in unreadable)
        if reason := genselect_sampling.refuse(problem, readable):
            yield dropped_row("genselect", problem, None, reason)
        elif isinstance(self.completions, ByRule):
            for instance in genselect_sampling.instances(problem, readable, self.completions, self.prompt, group.seed):
                name = f"genselect/{problem.id}/{instance.number}"
                if instance.too_long:
                    detail = f"{len(instance.question)} characters"
                    yield Dropped(id=name, statement=problem.statement, reason="question too long", detail=detail)
                else:
                    yield _example(name, problem, instance.question, _by_rule(problem, instance.shown))
        else:
            yield from self._compared(problem, known, group.annotations, self.completions)

    def _compared(
        self, problem: Problem, known: dict[int, Candidate], annotations: Sequence[Annotation], completions: ByModel
    ) -> Iterator[Example | Dropped]:
        """A row for each comparison that chose a right candidate."""
        compared = [one for one in annotations if one.kind == "comparison"]
        if not compared:
            yield dropped_row("genselect", problem, None, "no one compared them")
        for one in compared:
            name, shown = f"genselect/{problem.id}/{one.part}", [known[index] for index in one.shown if index in known]
            again = [other.text for other in annotations if other.kind == "comparison summary" and other.part == one.part]
            text, reason = _chosen(problem, shown, one, again if completions.summaries else [one.text])
            if reason:
                yield Dropped(id=name, statement=problem.statement, reason=reason, detail=one.text)
            else:
                yield _example(name, problem, genselect_sampling.asked(problem, shown, self.prompt), text)


def _chosen(problem: Problem, shown: Sequence[Candidate], comparison: Annotation, completions: Sequence[str]) -> tuple[str, str | None]:
    """The longest of the completions that choose as the comparison does, or why there is none to train on."""
    if len(shown) < len(comparison.shown):
        return "", "shows an attempt that is not taken"
    chosen = genselect.parse(comparison.text, len(shown))
    if chosen is None or shown[chosen].answer != problem.answer:
        return "", "no choice" if chosen is None else "wrong choice"
    text = longest(completions, lambda text: genselect.parse(text, len(shown)) == chosen)
    return text or "", None if text else "no valid summary"


def _by_rule(problem: Problem, shown: Sequence[Candidate]) -> str:
    good = [candidate.answer == problem.answer for candidate in shown]
    thought = "\n".join(f"{i}: {candidate.answer} {'good' if good[i] else 'bad'}" for i, candidate in enumerate(shown))
    return f"<think>\n{thought}\n</think>\nJudgment: {good.index(True)}"


def _example(name: str, problem: Problem, question: str, text: str) -> Example:
    messages = (user_message(question), Message(role="assistant", content=text, loss=True))
    return Example(id=name, problem=problem.id, candidate=None, kind="genselect", messages=messages)
