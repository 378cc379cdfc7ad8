"""Strategies that look at an attempt's code: what it printed beside its box, and whether another attempt ran the same program."""

from collections.abc import Iterable, Mapping

from components.core.types import Candidate
from components.lib.votes.ballot import Ballot, WeightedVote, each, strategy
from components.lib.votes.config import Agreement


@strategy(per_candidate=True)
def code_first(ballot: Ballot) -> Iterable[WeightedVote]:
    """Print and box of an attempt both speak; a box beside a print has a weight of its own, which may be none."""
    by = ballot.config.code_first
    for candidate in ballot.candidates:
        if candidate.printed is not None:
            yield WeightedVote(candidate.index, candidate.printed, by.printed)
        if candidate.boxed is not None:
            yield WeightedVote(candidate.index, candidate.boxed, by.boxed_alone if candidate.printed is None else by.boxed_beside)


@strategy(per_candidate=True)
def agreement(ballot: Ballot) -> Iterable[WeightedVote]:
    """Paterek's bonus where box and print agree, and his penalties for a very short program and a small answer."""
    return each(ballot, lambda candidate: _agreement(candidate, ballot.config.agreement))


@strategy()
def distinct(ballot: Ballot) -> Iterable[WeightedVote]:
    """Paterek's discount: a program that begins as another's does is hardly a second opinion."""
    discounts = _discounts(ballot)
    return each(ballot, lambda candidate: discounts[candidate.index])


@strategy()
def programs(ballot: Ballot) -> Iterable[WeightedVote]:
    """Paterek's whole vote: agreement times distinct. His programs and boxes are attempts of their own, so an answer that one attempt
    prints and another one boxes agrees as well."""
    discounts, by = _discounts(ballot), ballot.config.agreement
    both = {candidate.printed for candidate in ballot.candidates} & {candidate.boxed for candidate in ballot.candidates}
    return each(ballot, lambda candidate: _agreement(candidate, by, candidate.answer in both) * discounts[candidate.index])


def _agreement(candidate: Candidate, by: Agreement, agrees: bool = False) -> float:
    weight = by.bonus if agrees or (candidate.boxed is not None and candidate.boxed == candidate.printed) else 1.0
    if candidate.runs and len(candidate.runs[-1].code.strip()) < by.short_chars:
        weight *= by.short
    if candidate.answer is not None and candidate.answer <= by.small_up_to:
        weight *= by.small
    return weight


def _discounts(ballot: Ballot) -> Mapping[int, float]:
    """Each candidate's factor. Of equals nobody is the original: all of them weigh less, as in "shares a prefix with another program"."""
    by = ballot.config.distinct
    starts = [program[: by.prefix_chars] for program in map(_program, ballot.candidates) if len(program) >= by.prefix_chars]
    return {
        candidate.index: by.weight if starts.count(_program(candidate)[: by.prefix_chars]) > 1 else 1.0 for candidate in ballot.candidates
    }


def _program(candidate: Candidate) -> str:
    """All code of an attempt, cell after cell; spacing does not count, a shorter program than the prefix has no twin."""
    return " ".join(" ".join(run.code for run in candidate.runs).split())
