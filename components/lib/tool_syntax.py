"""How a model calls code and reads its output: one small description per syntax, and what can be done with any of them.

One place for the loop that runs code, the rows that are trained on and the summaries that GenSelect reads. Knows no engine and no sandbox.
Sources: openmath and fences, nemo_skills/prompt/code_tags/{openmath,qwen}.yaml; hermes, the chat template of Qwen2.5-Instruct; harmony, the
format of gpt-oss, whose other channels are the chat template's matter.
"""

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from components.core.errors import UserError
from components.core.types import Candidate


class Syntax(NamedTuple):
    """One way to call code."""

    begin: str
    """What opens a call."""
    head: str
    """What must follow before the code begins, however far away; empty: the code begins at once."""
    end: str
    """What closes a call: the stop string of a generation."""
    json: bool
    """Whether the call is {"name": ..., "arguments": {"code": ...}} rather than the code itself."""
    before: str
    """What stands between a call and its output, and after it."""
    after: str


SyntaxName = Literal["openmath", "fences", "hermes", "harmony"]
SYNTAXES: dict[SyntaxName, Syntax] = {
    "openmath": Syntax("<tool_call>", "", "</tool_call>", False, "\n```output\n", "\n```\n"),
    "fences": Syntax("```python\n", "", "```\n", False, "```output\n", "\n```\n"),
    "hermes": Syntax(
        "<tool_call>", "", "</tool_call>", True,
        "<|im_end|>\n<|im_start|>user\n<tool_response>\n", "\n</tool_response><|im_end|>\n<|im_start|>assistant\n",
    ),
    "harmony": Syntax(
        "to=python", "<|message|>", "<|call|>", False, "<|start|>python<|channel|>analysis<|message|>", "<|end|><|start|>assistant"
    ),
}  # fmt: skip
OPENMATH = SYNTAXES["openmath"]
"""What the project's own training rows are written in."""


class Piece(NamedTuple):
    """A stretch of an attempt's text: one generation, code output, or what was put into its mouth."""

    text: str
    generated: bool
    output: bool


def last_code(text: str, syntax: Syntax = OPENMATH) -> str | None:
    """The code of the call that `text` ends with, or None where no call was opened (the end of some other block).

    A call in JSON that cannot be read gives its own text: running it tells the model what is wrong with it.
    """
    if not text.endswith(syntax.end):
        return None
    before = text[: -len(syntax.end)]
    begin = before.rfind(syntax.begin)
    head = before.find(syntax.head, begin) if begin >= 0 else -1
    if head < 0 or syntax.end in before[begin + len(syntax.begin) :]:
        return None
    code = before[head + len(syntax.head) :] if syntax.head else before[begin + len(syntax.begin) :]
    return (_code_in(code) if syntax.json else code).strip("\n")


def _code_in(call: str) -> str:
    try:
        return str(json.loads(call)["arguments"]["code"])
    except (ValueError, KeyError, TypeError):
        return call


def output_block(output: str, syntax: Syntax = OPENMATH) -> str:
    """What the model reads after its code. What would end the block or a turn of the chat is broken by a space."""
    body = MARKER.sub(lambda found: found[0][0] + " " + found[0][1:], output.rstrip("\n"))
    return f"{syntax.before}{body}{syntax.after}"


MARKER = re.compile(r"<\|[a-z_]+\|>|</?(?:think|tool_call|tool_response)>|```")
"""What code may print to speak with another voice: marks of chat templates, of thought and of calls."""


def without_calls(text: str) -> str:
    """The text without calls and their outputs: what the model says itself."""
    for begin, end in _TAGS:
        if end in text:
            text = _without_calls_of(text, begin, end)
    return text


_TAGS = tuple(dict.fromkeys((syntax.begin, syntax.end) for syntax in SYNTAXES.values()))


def _without_calls_of(text: str, begin: str, end: str) -> str:
    """One pass: whatever a model writes, the time grows with the length alone."""
    outputs = [(syntax.before, syntax.after) for syntax in SYNTAXES.values() if (syntax.begin, syntax.end) == (begin, end)]
    kept, at = [], 0
    while (closed := text.find(end, at)) >= 0:
        opened = text.rfind(begin, at, closed)
        kept.append(text[at : opened if opened >= 0 else closed + len(end)])
        at = closed + len(end)
        for before, after in outputs if opened >= 0 else []:
            if text.startswith(before, at) and (over := text.find(after, at)) >= 0:
                at = over + len(after)
    return "\n".join([*kept, text[at:]])


def pieces(candidate: Candidate) -> Iterator[Piece]:
    """Cuts an attempt's text where it was put together, in order; raises UserError where it does not say where its outputs stand."""
    at, text = 0, candidate.text
    if sum(span.output for span in candidate.inserted) < len(candidate.runs):
        raise UserError(
            f"{candidate.problem}: attempt {candidate.index} ran code {len(candidate.runs)} times, but does not say where in its text the "
            "outputs stand (`inserted`); run the `solve` that made it again"
        )
    for span in candidate.inserted:
        if at < span.begin:
            yield Piece(text[at : span.begin], True, False)
        if span.begin < span.end:
            yield Piece(text[span.begin : span.end], False, span.output)
        at = span.end
    if at < len(text):
        yield Piece(text[at:], True, False)
