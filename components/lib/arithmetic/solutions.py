"""A drawn problem's solution as an assistant writes it: in words and lines (cot), or by program (tir).

What the program printed is not written here: whoever runs the cells puts it between them.
"""

from typing import NamedTuple

from components.lib import tool_syntax
from components.lib.arithmetic.families import GeneratedProblem

IMPORT = "import math\n"


class ToolSolution(NamedTuple):
    """The pieces that an attempt with tools is made of: thought, first cell, (its output), next cell, (its output), final."""

    thought: str
    cells: tuple[str, ...]
    """Each ends with the end of a tool call, where the attempt pauses for the output."""
    final: str


def cot_solution(drawn: GeneratedProblem) -> str:
    """The working between think tags, then the boxed answer."""
    return thought("\n".join(drawn.working)) + final(drawn.answer)


def tir_segments(drawn: GeneratedProblem, forget_import: bool) -> ToolSolution:
    """The solution by program. `forget_import` puts a cell before it that lacks its import, where there is one to forget."""
    programs = drawn.programs
    if forget_import and programs[0].startswith(IMPORT):
        programs = (programs[0].removeprefix(IMPORT), *programs)
    return ToolSolution(thought(drawn.plan), tuple(_cell(code) for code in programs), final(drawn.answer))


def _cell(code: str) -> str:
    return f"{tool_syntax.OPENMATH.begin}\n{code}\n{tool_syntax.OPENMATH.end}"


def thought(text: str) -> str:
    """`text` between think tags."""
    return f"<think>\n{text}\n</think>\n"


def final(answer: object) -> str:
    """The closing sentence."""
    return f"The answer is \\boxed{{{answer}}}."
