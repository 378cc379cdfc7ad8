"""Votes: who counts, how ties are broken, what is kept."""

import pytest

from components.core.types import Candidate
from components.vote.strategies import STRATEGIES, Ballot, count
from tests.making import candidate, judgement


def ballot(answers: list[int], *judgements: object) -> Ballot:
    cast: list[Candidate] = [candidate(answer, index=index) for index, answer in enumerate(answers)]
    return Ballot("p", cast, judgements, seed=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("strategy", "answers", "wanted"),
    [
        ("majority", [5, 7, 7], 7),
        ("majority", [9, 4, 4, 9], 9),  # a tie goes to the answer that stood first
        ("weighted", [20, 20, 21, 21], 21),  # 1.2 against 2.0
        ("weighted", [300, 300, 21], 300),  # 1.2 against 1.0
        ("weighted", [21, 22], 22),  # the larger wins a tie
        ("weighted", [20, 20, 20, 21], 20),  # 1.8 against 1.0
    ],
)
def test_the_winner_of_a_vote(strategy: str, answers: list[int], wanted: int) -> None:
    assert count(ballot(answers), STRATEGIES[strategy])[0].answer == wanted


def test_genselect_counts_readings_and_falls_to_the_majority_where_nothing_was_read() -> None:
    read = ballot([5, 5, 7], judgement(2, index=0, shown=(0, 2)), judgement(2, index=1, shown=(2, 1)), judgement(0, index=2))
    assert count(read, STRATEGIES["genselect"])[0].answer == 7
    assert count(ballot([5, 5, 7]), STRATEGIES["genselect"])[0].answer == 5


def test_nobody_voted_gives_no_answer() -> None:
    for strategy in STRATEGIES.values():
        assert count(ballot([]), strategy) == ()


def test_support_keeps_the_candidates_behind_an_answer() -> None:
    first, second = count(ballot([5, 7, 7]), STRATEGIES["majority"])
    assert (first.answer, first.weight, first.candidates) == (7, 2.0, (1, 2))
    assert (second.answer, second.candidates) == (5, (0,))


def test_a_candidate_by_lot_is_the_same_each_time_and_not_always_the_first() -> None:
    lots = {count(ballot([1, 2, 3])._replace(problem=f"p{i}"), STRATEGIES["arbitrary"])[0].answer for i in range(30)}
    assert lots == {1, 2, 3}
