"""What is asked about an attempt, as pure functions of it: nothing here knows an engine.

OpenMathReasoning asks four things of a model once the solutions are there (paper, sections 2.3 and 3.2): whether an answer that no program
could compare is the known one, summaries to replace endings, and for each code block whether it is novel and how significant.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from components.core.types import Candidate, Problem
from components.lib import answers, prompts
from components.lib.answers import Contest
from components.lib.fragments import fragments

About = Literal["judgement", "summary", "novelty", "significance"]


class Wanted(NamedTuple):
    """How often each thing is asked; 0: not at all."""

    judgements: int
    summaries: int
    votes: int


class Request(NamedTuple):
    """One question to a model."""

    problem: str
    candidate: int
    about: About
    block: int | None
    number: int
    """From 0, of those that ask the same."""
    content: str

    @property
    def key(self) -> str:
        """`p/3/novelty-1/0`: problem, attempt, what about (and which code block), the how-manieth time."""
        about = self.about if self.block is None else f"{self.about}-{self.block}"
        return f"{self.problem}/{self.candidate}/{about}/{self.number}"


def requests(problem: Problem, candidates: Iterable[Candidate], contest: Contest, wanted: Wanted) -> Iterator[Request]:
    """Every question about these attempts, in their order. Nothing is asked of an attempt that is known to be wrong or was cut off."""
    for candidate in candidates:
        if candidate.ended != "stop":
            continue
        if candidate.answer is None:
            yield from _judgements(problem, candidate, contest, wanted.judgements)
        elif problem.answer in (None, candidate.answer):
            yield from _votes(candidate, wanted.votes) if candidate.runs else _summaries(problem, candidate, wanted.summaries)


def _judgements(problem: Problem, candidate: Candidate, contest: Contest, times: int) -> Iterator[Request]:
    """Only of what stands in a box and is no integer: integers are compared, and where nothing was answered there is nothing to judge."""
    found = answers.read(candidate.text, contest)
    if problem.answer is not None and found.reason == "not an integer":
        content = prompts.render("judgement", statement=problem.statement, answer=problem.answer, given=found.raw or "")
        yield from (Request(problem.id, candidate.index, "judgement", None, number, content) for number in range(times))


def _summaries(problem: Problem, candidate: Candidate, times: int) -> Iterator[Request]:
    content = prompts.render("summary", statement=problem.statement, solution=candidate.text)
    yield from (Request(problem.id, candidate.index, "summary", None, number, content) for number in range(times))


def _votes(candidate: Candidate, times: int) -> Iterator[Request]:
    for fragment in fragments(candidate):
        shown = {"before": fragment.before, "code": fragment.code, "output": fragment.output, "after": fragment.after}
        abouts: tuple[About, ...] = ("novelty", "significance")
        for about in abouts:
            content = prompts.render(about, **shown)
            yield from (Request(candidate.problem, candidate.index, about, fragment.block, number, content) for number in range(times))
