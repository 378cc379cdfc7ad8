"""What is asked about attempts, as pure functions of them: nothing here knows an engine.

OpenMathReasoning asks these things of a model once the solutions are there (paper, sections 2.3, 3.2, 4.1): whether an answer that no
program could compare is the known one, summaries to replace endings, for each code block whether it is novel and how significant, which
of several solutions is right, and summaries of those comparisons that chose a right one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pydantic import Field

from components.core.types import Annotation, AnnotationKind, Candidate, Problem
from components.lib import answers, genselect, genselect_sampling, prompts
from components.lib.answers import Contest
from components.lib.code_blocks import code_blocks
from components.lib.genselect_sampling import Sampler


class Comparisons(Sampler):
    """Which candidates are compared, and how often a comparison is summarised."""

    summaries: int = Field(ge=0)
    """Of each comparison that chose a right candidate (NVIDIA: 4)."""


class RequestCounts(NamedTuple):
    """How often each thing is asked; 0 or None: not at all."""

    judgements: int
    summaries: int
    votes: int
    comparisons: Comparisons | None
    seed: int


class Request(NamedTuple):
    """One question to a model."""

    problem: str
    shown: tuple[int, ...]
    kind: AnnotationKind
    part: int | None
    number: int
    """From 0, of those that ask the same."""
    content: str

    @property
    def key(self) -> str:
        """`p/3/novelty-1/0`: problem, attempt (where it is one), what about (and which part), the how-manieth time."""
        about = self.kind.replace(" ", "-") + ("" if self.part is None else f"-{self.part}")
        return "/".join([self.problem, *map(str, self.shown if len(self.shown) == 1 else ()), about, str(self.number)])


def requests(problem: Problem, candidates: Sequence[Candidate], contest: Contest, counts: RequestCounts) -> Iterator[Request]:
    """Every question about these attempts, in their order. Nothing is asked of an attempt that is known to be wrong or was cut off."""
    for candidate in candidates:
        if candidate.finish_reason != "stop":
            continue
        if candidate.answer is None:
            yield from _judgements(problem, candidate, contest, counts.judgements)
        elif problem.answer in (None, candidate.answer):
            yield from _votes(candidate, counts.votes) if candidate.runs else _summaries(problem, candidate, counts.summaries)
    readable = genselect_sampling.readable(candidates)
    if counts.comparisons and genselect_sampling.refuse(problem, readable) is None:
        for instance in genselect_sampling.instances(problem, readable, counts.comparisons, "genselect", counts.seed):
            if not instance.too_long:
                shown = tuple(candidate.index for candidate in instance.shown)
                yield Request(problem.id, shown, "comparison", instance.number, 0, instance.question)


def followup_requests(
    problem: Problem, candidates: Sequence[Candidate], said: Iterable[Annotation], comparisons: Comparisons
) -> Iterator[Request]:
    """What is asked once the comparisons are there: summaries of those that chose a right candidate."""
    known = {candidate.index: candidate for candidate in candidates}
    for one in said:
        chosen = genselect.parse(one.text, len(one.shown)) if one.kind == "comparison" else None
        if chosen is not None and known[one.shown[chosen]].answer == problem.answer:
            question = genselect_sampling.asked(problem, [known[index] for index in one.shown], "genselect")
            content = prompts.render("comparison-summary", question=question, comparison=one.text)
            for number in range(comparisons.summaries):
                yield Request(problem.id, one.shown, "comparison summary", one.part, number, content)


def _judgements(problem: Problem, candidate: Candidate, contest: Contest, times: int) -> Iterator[Request]:
    """Only of what stands in a box and is no integer: integers are compared, and where nothing was answered there is nothing to judge."""
    found = answers.parse(candidate.text, contest)
    if problem.answer is not None and found.reason == "not an integer":
        content = prompts.render("judgement", statement=problem.statement, answer=problem.answer, given=found.raw or "")
        yield from (Request(problem.id, (candidate.index,), "judgement", None, number, content) for number in range(times))


def _summaries(problem: Problem, candidate: Candidate, times: int) -> Iterator[Request]:
    content = prompts.render("summary", statement=problem.statement, solution=candidate.text)
    yield from (Request(problem.id, (candidate.index,), "summary", None, number, content) for number in range(times))


def _votes(candidate: Candidate, times: int) -> Iterator[Request]:
    for code_block in code_blocks(candidate):
        shown = {"before": code_block.before, "code": code_block.code, "output": code_block.output, "after": code_block.after}
        abouts: tuple[AnnotationKind, ...] = ("novelty", "significance")
        for about in abouts:
            content = prompts.render(about, **shown)
            yield from (Request(candidate.problem, (candidate.index,), about, code_block.block, number, content) for number in range(times))
