"""How a cell's output is shown where its model was trained on another form: the lines of an error, head and tail of a long print."""

from collections.abc import Iterator

import pytest

from components.lib.sandbox.protocol import OutputForm
from tests import sandbox_fixtures


@pytest.fixture(scope="module")
def box() -> Iterator[sandbox_fixtures.Box]:
    with sandbox_fixtures.opened(timeout_s=2.0, output_chars=300) as box:
        yield box


def test_of_a_long_output_head_and_tail_are_shown_where_that_is_asked(box: sandbox_fixtures.Box) -> None:
    just, over, chatty, much = box.cells(
        "print('é' * 299)", "print('a' * 150 + 'b' * 160)", "for i in range(10**5): print(i)", "print('x' * 10**7, 'end')",
        form=OutputForm(tail=True),
    )  # fmt: skip
    assert just.output == "é" * 299 + "\n"
    assert over.output == "a" * 150 + "\n<11 characters left out>\n" + "b" * 149 + "\n"
    numbers = "".join(f"{i}\n" for i in range(10**5))
    assert chatty.output == f"{numbers[:150]}\n<{len(numbers) - 300} characters left out>\n{numbers[-150:]}"
    assert much.output.endswith("xx end\n") and f"<{10**7 + 5 - 300} characters left out>" in much.output


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("1 / 0", "Traceback (most recent call last):\n    1 / 0\nZeroDivisionError: division by zero\n"),
        ("print(1)\nx = 1\nif x:\n    y = z", "1\nTraceback (most recent call last):\n    y = z\nNameError: name 'z' is not defined\n"),
        ("f(0)", "Traceback (most recent call last):\n    f(0)\n    return 1 / x\nZeroDivisionError: division by zero\n"),
        ("import math\nmath.sqrt(-1)", "Traceback (most recent call last):\n    math.sqrt(-1)\nValueError: math domain error\n"),
        ("x = (1", "    x = (1\n        ^\nSyntaxError: '(' was never closed\n"),
    ],
)
def test_an_error_shows_the_lines_that_led_to_it_where_that_is_asked(code: str, output: str, box: sandbox_fixtures.Box) -> None:
    assert box.cells("def f(x):\n    return 1 / x", code, form=OutputForm(traceback=True))[1].output == output
