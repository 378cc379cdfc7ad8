"""Prompts are files; filling them in is strict about fields and leaves LaTeX alone."""

import pytest

from components.core.errors import UserError
from components.lib import prompts


def test_a_prompt_is_its_file_with_the_fields_filled_in() -> None:
    assert prompts.render("cot", statement="What is $2^{10}$?") == "What is $2^{10}$?\nThink step by step."
    assert prompts.render("tir", statement="Find {x}.") == "Find {x}.\nUse Python."


def test_braces_of_the_value_are_not_fields() -> None:
    assert prompts.render("cot", statement="{statement} \\boxed{n}").startswith("{statement} \\boxed{n}\n")


@pytest.mark.parametrize("fields", [{}, {"statement": "1", "answer": "2"}, {"statment": "1"}])
def test_a_field_too_many_or_too_few_is_an_error(fields: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"prompts/cot\.md.*statement"):
        prompts.render("cot", **fields)


def test_an_unknown_prompt_is_named() -> None:
    with pytest.raises(UserError, match=r"no such prompt; there are: .*cot"):
        prompts.path("cott")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{statement}", ["statement"]),
        ("{first_part} and {b}", ["first_part", "b"]),
        (r"\boxed{answer} \frac{a}{b} x^{n} a_{i} \{c\} {} {3}", []),
    ],
)
def test_what_is_a_field(text: str, fields: list[str]) -> None:
    assert prompts.FIELD.findall(text) == fields
