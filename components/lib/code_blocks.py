"""An attempt's code blocks, each with what stands around it: what a model is shown that judges whether the code was worth its running.

Source: NeMo-Skills' extract_python_fragments.py. Asks no model.
"""

from typing import NamedTuple

from components.core.types import Candidate, CodeRun
from components.lib import tool_syntax

CONTEXT_CHARS = 1500
"""Characters shown on each side of a block, ending at the neighbouring blocks."""


class CodeBlock(NamedTuple):
    """A code block with what stands around it."""

    block: int
    before: str
    code: str
    output: str
    after: str


def code_blocks(candidate: Candidate) -> list[CodeBlock]:
    """The blocks to be judged, of an attempt in openmath: those whose run did not fail."""
    said = [""]
    for piece in tool_syntax.pieces(candidate):
        said = [*said, ""] if piece.output else [*said[:-1], said[-1] + piece.text]
    found = []
    for number, run in enumerate(candidate.runs):
        if number >= len(said) or not ran_well(run):
            continue
        after = said[number + 1] if number + 1 < len(said) else ""
        before, _, code = said[number].rpartition(tool_syntax.OPENMATH.begin)
        shown = after.partition(tool_syntax.OPENMATH.begin)[0][:CONTEXT_CHARS]
        found.append(CodeBlock(number, before[-CONTEXT_CHARS:], code.removesuffix(tool_syntax.OPENMATH.end).strip("\n"), run.output, shown))
    return found


def ran_well(run: CodeRun) -> bool:
    """A block that failed is no calculation, and none is asked about it."""
    return run.status == "ok" and "Traceback (most recent call last)" not in run.output
