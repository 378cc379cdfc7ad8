"""What the last code run printed, read as an answer, and which of box and print an attempt votes for."""

import pytest

from components.core.types import CodeRun
from components.lib.answers import AnswerSource, Contest, ParsedAnswer, choose, parse, printed
from tests.row_fixtures import run

AIMO2 = Contest(low=0, high=999, modulus=1000)
AIMO3 = Contest(low=0, high=99999, modulus=None)


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("42", 42),
        ("n = 5\nx = 42\n\n", 42),  # the last line
        ("the sum: 42", 42),
        ("42.0", 42),
        ("(42)", 42),
        ("$42$.", 42),
        ("016", 16),
        ("3 42", 42),
        ("12345", 12345),
        ("-5", "negative print"),
        ("100000", "print out of range"),
        ("0.5", "no integer printed"),
        ("3/4", "no integer printed"),
        ("[1, 42]", "no integer printed"),
        ("1, 42", "no integer printed"),
        ("B", "no integer printed"),
        ("x + y", "no integer printed"),
        ("1e5", "no integer printed"),
        ("42\nTrue", "no integer printed"),
        ("4" * 5000, "no integer printed"),
        ("12<output cut>", "no integer printed"),
        (" \n", "nothing printed"),
    ],
)
def test_the_last_line_ends_with_an_integer_or_the_print_abstains(output: str, wanted: int | str) -> None:
    found = printed((run(output="7"), run(output=output)), AIMO3)
    assert (found.answer if found.reason is None else found.reason) == wanted


@pytest.mark.parametrize("status", ["error", "timeout-kept", "timeout-lost", "crashed"])
def test_a_run_that_did_not_end_well_printed_no_answer_even_if_an_earlier_one_did(status: str) -> None:
    runs: tuple[CodeRun, ...] = (run(output="7"), run(output="42", status=status))
    assert printed(runs, AIMO2).reason == "the code did not end well"
    assert printed((), AIMO2).reason == "no code ran"


def test_a_print_is_reduced_where_the_contest_reduces_and_only_there() -> None:
    assert printed((run(output="1042"),), AIMO2) == ParsedAnswer(42, None, "1042", True)
    assert printed((run(output="1042"),), AIMO3) == ParsedAnswer(1042, None, "1042", False)
    assert printed((run(output="100000"),), AIMO3).answer is None


@pytest.mark.parametrize(
    ("answer_source", "box", "output", "wanted"),
    [
        ("boxed-first", "7", "42", 7),
        ("printed-first", "7", "42", 42),
        ("boxed", "7", "42", 7),
        ("printed", "7", "42", 42),
        ("boxed-first", "B", "42", 42),  # a letter abstains, so the other is heard
        ("boxed-first", "x + 1", "42", 42),
        ("printed-first", "7", "-1", 7),
        ("boxed", "B", "42", "not an integer"),
        ("printed", "7", "0.5", "no integer printed"),
        ("boxed-first", "100000", "-1", "out of range"),
        ("printed-first", "100000", "-1", "negative print"),
        ("printed-first", "100000", None, "out of range"),  # no code ran: what the box said is the reason
        ("boxed-first", None, "-1", "negative print"),
        ("boxed-first", None, None, "no box"),
        ("printed-first", None, None, "no code ran"),
    ],
)
def test_box_and_print_are_weighed_as_the_setting_says(
    answer_source: AnswerSource, box: str | None, output: str | None, wanted: int | str
) -> None:
    boxed = parse("So it is." if box is None else rf"\boxed{{{box}}}", AIMO3)
    found = choose(boxed, printed((run(output=output),) if output is not None else (), AIMO3), answer_source)
    assert (found.answer if found.reason is None else found.reason) == wanted


def test_a_number_of_122_digits_is_no_answer_in_a_box_or_in_a_print() -> None:
    digits = "4" * 122
    assert parse(rf"\boxed{{{digits}}}", AIMO2).reason == "not an integer"
    assert printed((run(output=digits),), AIMO2).reason == "no integer printed"
