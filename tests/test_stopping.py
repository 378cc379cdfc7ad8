"""The early stop, on the orders of finishing that tell rules apart."""

import pytest
from components.solve.stopping import Agree, Never

NVIDIA = Agree(kind="agree", of_first=5, equal=4)


@pytest.mark.parametrize(
    ("finished", "settled"),
    [
        ([], False),
        ([7, 7, 7], False),
        ([7, 7, 7, 7], True),
        ([7, 7, 3, 7, 7], True),
        ([7, 3, 7, 3, 7, 7, 7], False),  # four equal ones, but not among the first five
        ([None, 7, 7, None, 7, 7], True),  # an attempt without an answer is not a finished answer
        ([None, None, None, None], False),
    ],
)
def test_four_of_the_first_five_finished_answers_settle_a_question(finished: list[int | None], settled: bool) -> None:
    assert NVIDIA.settled(finished, running=3) is settled


def test_a_sitting_without_a_rule_never_stops_early() -> None:
    assert not Never(kind="none").settled([7] * 8, running=0)
