"""How a model calls code and reads its output: the openmath tags (nemo_skills/prompt/code_tags/openmath.yaml).

One place for the loop that runs code, the rows that are trained on and the summaries that GenSelect reads. Knows no engine and no sandbox.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.core.types import CodeRun

BEGIN, END = "<tool_call>", "</tool_call>"


class Piece(NamedTuple):
    """A stretch of an attempt's text: the model's own, or code output that was put in."""

    text: str
    output: bool


def last_code(text: str) -> str | None:
    """The code of the block that `text` ends with, or None where no block was opened."""
    begin = text.rfind(BEGIN)
    return text[begin + len(BEGIN) : -len(END)].strip("\n") if begin >= 0 and text.endswith(END) else None


def output_block(output: str) -> str:
    """What the model reads after its code."""
    body = output.rstrip("\n")
    return f"\n```output\n{body}\n```\n"


def pieces(text: str, runs: Sequence[CodeRun]) -> Iterator[Piece]:
    """Cuts an attempt's text at its code outputs, in order; an output that the text does not hold (a cancelled attempt's) ends it."""
    at = 0
    for run in runs:
        block = output_block(run.output)
        begin = text.find(END + block, at)
        if begin < 0:
            break
        begin += len(END)
        yield Piece(text[at:begin], False)
        yield Piece(block, True)
        at = begin + len(block)
    if at < len(text):
        yield Piece(text[at:], False)
