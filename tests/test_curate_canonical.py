"""The forms in which statements are kept and compared: what counts as a difference and what does not."""

import pytest

from components.curate.canonical import canonical, normalise, numbers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"Find $\dfrac12+x$.", r"find \(\frac{1}{2} + y\)"),
        (r"AIME 2021 Problem 5. Let $n=1{,}000$.", "Let $k = 1,000$."),
        ("Add 1½ kg.", "Add 1 1/2 kg."),
        ("What is 2³ × 5 modulo 7?", r"What is $2^3 \times 5$ mod $7$?"),
        (r"$\triangle ABC$ has $\angle A = 60^\circ$", r"triangle $PQR$ has $\angle P = 60°$"),
        ("Compute it. Put your final answer in \\boxed{}.", "Compute it."),
        ("Choose three of the two-digit numbers.", "Choose 3 of the 2 digit numbers."),
        (r"$x_1, x_2, \ldots, x_9$ are real", r"$a_1, a_2, a_3, \dots, a_9$ are real"),
        (r"\text{How many} $\leq 5$?", "How many ≤ 5?"),
    ],
)
def test_format_dialect_and_names_do_not_count(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Find $(2+3) * 4$.", "Find $2+3 * 4$."),
        (r"Find $\frac{1}{2+x}$.", r"Find $\frac{1}{2}+x$."),
        ("Find $x + y$.", "Find $x - y$."),
        ("Find $e^x$.", "Find $a^x$."),
        ("Find 12.5 + 1.", "Find 125 + 1."),
        ("Find x in [asy]draw((0,0)--(1,2));[/asy]", "Find x in [asy]draw((0,0)--(2,1));[/asy]"),
        ("Add 3 and 4. Give your answer in base 5.", "Add 3 and 4. Give your answer in base 6."),
        ("已知 2, 3", "求 2, 3"),
    ],
)
def test_what_changes_the_question_counts(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_numbers_are_compared_as_numbers_and_not_as_text() -> None:
    assert numbers(canonical("007 of 1,234 or 0.50 and 3.0 ways; 7 again")) == ("0.50", "1234", "3", "7")


def test_a_kept_statement_loses_stray_blanks_only() -> None:
    assert normalise("Cafe\u0301:  $x  = 1$ \r\n\r\n\r\n\r\nFind\u00a0$x$.\n") == "Café: $x = 1$\n\nFind $x$."
