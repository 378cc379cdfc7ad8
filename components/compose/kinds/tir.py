"""Right tool-integrated solutions: code that ran, and an answer that follows from it.

The filters are those of NeMo-Skills' postprocess_tir_generations.py, each a function that params.yaml names, asked in its order. One
is changed: whether the answer stands before the code is asked at token boundaries. As a substring the answer 2 stands in
nearly every text; the stage counts each reason by the number of the answer's digits, so that such a rule is seen. All read openmath,
into which the stage translates every attempt.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator

from components.compose import novelty_significance, solutions
from components.compose.kind import AttemptGroup, Kind, rejection_reason
from components.compose.novelty_significance import NoveltySignificance
from components.core.params import did_you_mean
from components.core.types import Candidate, Dropped, Example
from components.lib import prompts
from components.lib.code_budget import CodeBudget
from components.lib.tool_syntax import OPENMATH

_OUTPUT = re.compile(r"\n```output\n.*?\n?```", re.DOTALL)


def block_not_closed(candidate: Candidate) -> bool:
    before, *blocks = candidate.text.split(OPENMATH.begin)
    return OPENMATH.end in before or any(block.count(OPENMATH.end) != 1 for block in blocks)


def block_without_output(candidate: Candidate) -> bool:
    return any(not _OUTPUT.match(after) for after in candidate.text.split(OPENMATH.end)[1:])


def last_code_failed(candidate: Candidate) -> bool:
    return candidate.runs[-1].status != "ok"


def box_before_code(candidate: Candidate) -> bool:
    return "\\boxed" in candidate.text.partition(OPENMATH.begin)[0]


def answer_before_code(candidate: Candidate) -> bool:
    """The number itself, no part of another: neither 17 nor 7.5 nor 7,000 holds the answer 7, and (3,7) does."""
    before, number = candidate.text.partition(OPENMATH.begin)[0], str(candidate.answer)
    grouped = r"(?<!\d,)" if len(number) == 3 else ""
    return re.search(rf"(?<!\d)(?<!\d\.){grouped}{number}(?!\d)(?!\.\d)(?!,\d{{3}}(?!\d))", before) is not None


def no_box_after_code(candidate: Candidate) -> bool:
    return "\\boxed" not in candidate.text.rpartition(OPENMATH.end)[2]


FILTERS = {
    rule.__name__: rule
    for rule in (block_not_closed, block_without_output, last_code_failed, box_before_code, answer_before_code, no_box_after_code)
}


def _known(name: str) -> str:
    if name not in FILTERS:
        raise ValueError(f"no filter '{name}'{did_you_mean(name, list(FILTERS))}; there are: {', '.join(FILTERS)}")
    return name


class Tir(Kind):
    """Right tool-integrated solutions."""

    brought = "tir"
    kind: Literal["tir"]
    keep: solutions.Keep
    max_code_blocks: int
    """Code blocks a row may have (NVIDIA's first stage: 2)."""
    filters: list[Annotated[str, AfterValidator(_known)]]
    """What is refused, in the order in which it is asked: names of functions in this file."""
    budget: CodeBudget | None
    """What the prompt says of how many blocks may run, as `solve.<pool>.code_budget` asked it; its file then has a field {executions}."""
    novelty_significance: NoveltySignificance | None
    """Whether the code must be novel and significant; asks for the replies of `annotate.<pool>.votes`."""

    def make(self, group: AttemptGroup) -> Iterator[Example | Dropped]:
        yield from solutions.rows("tir", group, self.keep, lambda one: self.rejection_reason(group, one), lambda one: self._ask(group, one))

    def rejection_reason(self, group: AttemptGroup, candidate: Candidate) -> str | None:
        """Why an attempt is not trained on, or None."""
        reason = rejection_reason(group.problem, candidate)
        if reason:
            return reason
        if not candidate.runs:
            return "no code"
        if len(candidate.runs) > self.max_code_blocks:
            return f"more than {self.max_code_blocks} code blocks"
        for rule in self.filters:
            if FILTERS[rule](candidate):
                return rule.replace("_", " ")
        if self.budget and len(candidate.runs) > self.budget.draw(candidate.problem, candidate.index):
            return "more code than the prompt allowed"
        return (
            novelty_significance.rejection_reason(candidate, group.annotations, self.novelty_significance)
            if self.novelty_significance
            else None
        )

    def _ask(self, group: AttemptGroup, candidate: Candidate) -> str:
        fields = {"executions": self.budget.draw(candidate.problem, candidate.index)} if self.budget else {}
        return prompts.render(self.prompt, statement=group.problem.statement, **fields)
