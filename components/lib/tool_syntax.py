"""How a model calls code and reads its output: one small description per family, and what can be done with any of them.

One place for the loop that runs code, the rows that are trained on and the summaries that GenSelect reads. Knows no engine and no sandbox;
how a call is read from a text is tool_calls.py's. Sources: openmath and fences, nemo_skills/prompt/code_tags/{openmath,qwen}.yaml;
nemoskills, nemo_skills/code_execution/utils.py; hermes, the chat templates of Qwen2.5, Qwen3 and QwQ; harmony, that of gpt-oss, whose own
python tool answers as in published traces.
"""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from components.core.errors import UserError
from components.core.types import Candidate
from components.lib.sandbox.protocol import PLAIN, OutputForm

NOTHING_PRINTED = "<nothing was printed>"
FENCE_ENDS = ("```\n", "```\r\n")


class Syntax(NamedTuple):
    """One way to call code and to read what it printed."""

    call: Literal["tags", "fences", "hermes", "harmony"]
    """How a call is read (tool_calls.py)."""
    begin: str
    """What opens a call, for a reply that is begun with one."""
    ends: tuple[str, ...]
    """What closes a call: the stop strings of a generation."""
    before: str
    """What stands between a call and its output, and after it."""
    after: str
    turn: str = ""
    """What opens the assistant's next turn, where the output is a turn of its own; what the prompt has there counts, a `<think>` too."""
    last_line: str = "\n"
    """What ends the output's last line."""
    empty: str = NOTHING_PRINTED
    """What is shown where nothing was printed."""
    notice: tuple[str, str] = ("budget", "budget-spent")
    """The prompts that say how many code runs are left, and that none is."""
    form: OutputForm = OutputForm(tail=True)
    quoted: bool = False
    """Whether the output is written as a JSON string."""
    template_arguments: Mapping[str, Any] = MappingProxyType({})
    """What the chat template is told of the tool."""

    @property
    def end(self) -> str:
        """What a call is closed with where its model did not write it."""
        return self.ends[0]


PYTHON_TOOL = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Runs Python code in a session whose variables stay from call to call, and returns what it printed.",
        "parameters": {
            "type": "object",
            "properties": {"code": {"type": "string", "description": "The Python code to run."}},
            "required": ["code"],
        },
    },
}
SyntaxName = Literal["openmath", "nemoskills", "fences", "hermes", "harmony"]
SYNTAXES: dict[SyntaxName, Syntax] = {
    "openmath": Syntax("tags", "<tool_call>", ("</tool_call>",), "\n```output\n", "```\n", empty="", form=PLAIN),
    "nemoskills": Syntax(
        "tags", "<tool_call>", ("</tool_call>",), "\n```output\n", "```\n", empty="", form=OutputForm(traceback=True),
        notice=("recipes/nemoskills/budget", "recipes/nemoskills/budget-spent"),
    ),
    "fences": Syntax("fences", "```python\n", FENCE_ENDS, "```output\n", "```\n"),
    "hermes": Syntax(
        "hermes", "<tool_call>", ("</tool_call>",), "<|im_end|>\n<|im_start|>user\n<tool_response>\n", "</tool_response><|im_end|>\n",
        turn="<|im_start|>assistant\n", template_arguments=MappingProxyType({"tools": [PYTHON_TOOL]}),
    ),
    "harmony": Syntax(
        "harmony", "<|channel|>analysis to=python code<|message|>", ("<|call|>",),
        "<|start|>python to=assistant<|channel|>analysis<|message|>", "<|end|>",
        turn="<|start|>assistant", last_line="", template_arguments=MappingProxyType({"builtin_tools": ["python"]}),
    ),
}  # fmt: skip
OPENMATH = SYNTAXES["openmath"]
"""What the project's own training rows are written in."""
HARMONY_FUNCTION = SYNTAXES["harmony"]._replace(
    before="<|start|>functions.python to=assistant<|channel|>commentary<|message|>", quoted=True
)
"""The reply to a model that calls python as if it were a function of the user's: as its template writes that."""


TEMPLATE_MARKS: dict[SyntaxName, tuple[str, ...]] = {"hermes": ("<tool_call>", '"arguments"'), "harmony": ("<|channel|>",)}
"""What a chat template holds that writes calls of the family."""


def knows(template: str, name: SyntaxName) -> bool:
    """Whether a chat template writes calls of this family of `TEMPLATE_MARKS`."""
    return all(mark in template for mark in TEMPLATE_MARKS[name])


def recognise(template: str) -> SyntaxName:
    """The family of a model by its own chat template. What names no tool call that can be read here writes fences.

    So do Qwen2.5-Math's: their template is Qwen2.5's but for a default system message that asks for a box, their programs are fences
    (QwenLM/Qwen2.5-Math, evaluation/math_eval.py).
    """
    if knows(template, "harmony"):
        return "harmony"
    return "hermes" if knows(template, "hermes") and "boxed{}" not in template else "fences"


def output_block(output: str, syntax: Syntax = OPENMATH, notice: str = "", prompt: str = "") -> str:
    """What the model reads after its code. What would end the block or a turn of the chat is broken by a space.

    `notice`: what it is told beside the output. `prompt`: the attempt's, which shows how a turn of its assistant begins.
    """
    text = shown(output, syntax)
    if not syntax.turn:
        told = f"```system\n{notice}\n```\n" if notice else ""
        return f"{syntax.before}{text}{syntax.last_line if text else ''}{syntax.after}{told}"
    text = "\n".join(part for part in (text, notice) if part)
    if syntax.quoted:
        text = json.dumps(text, ensure_ascii=False)
    begins = prompt.rfind(syntax.turn)
    return f"{syntax.before}{text}{syntax.last_line}{syntax.after}{prompt[begins:] if begins >= 0 else syntax.turn}"


def shown(output: str, syntax: Syntax) -> str:
    """What code printed, as its model reads it."""
    return MARKER.sub(lambda found: found[0][0] + " " + found[0][1:], output.lstrip("\n").rstrip()) or syntax.empty


MARKER = re.compile(r"<\|[a-z_]+\|>|<｜[^<>｜\n]+｜>|</?(?:think|tool_call|tool_response)>|```")
"""What code may print to speak with another voice: marks of chat templates, of thought and of calls."""


class FencedBlock(NamedTuple):
    """A block of ``` fences: places in the text, and the first word after the opening fence, in small letters."""

    begin: int
    language: str
    code: str
    end: int


PYTHON = ("python", "py", "python3")
_FENCE = re.compile(r"(?<!`)`{3,}+[ \t]*+(?:([^\s`]++)[^\n`]*+)?\r?(?:\n|$)")  # possessive: in one pass, whatever the text


def fenced_blocks(text: str) -> Iterator[FencedBlock]:
    """The closed blocks of a text, in order. A fence with a language opens a block; a bare one closes where one is open.

    Within a block the first needs its own line: else it is a string of the code's.
    """
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if fence[1] and opened is not None and text[text.rfind("\n", 0, fence.start()) + 1 : fence.start()].strip():
            continue
        if fence[1] or opened is None:
            opened = fence
            continue
        code = text[opened.end() : fence.start()].replace("\r\n", "\n")
        yield FencedBlock(opened.start(), (opened[1] or "").lower(), code, fence.end())
        opened = None


def without_calls(text: str) -> str:
    """The text without calls and their outputs: what the model says itself."""
    for begin, end in (("<tool_call>", "</tool_call>"), ("<|channel|>", "<|call|>")):
        if end in text:
            text = _without_calls_of(text, begin, end)
    return _without_fences(text) if "```" in text else text


def _without_calls_of(text: str, begin: str, end: str) -> str:
    """One pass: whatever a model writes, the time grows with the length alone."""
    outputs = [(syntax.before, syntax.after) for syntax in (*SYNTAXES.values(), HARMONY_FUNCTION) if end in syntax.ends]
    kept, at = [], 0
    while (closed := text.find(end, at)) >= 0:
        opened = text.rfind(begin, at, closed)
        kept.append(text[at : opened if opened >= 0 else closed + len(end)])
        at = closed + len(end)
        for before, after in outputs if opened >= 0 else []:
            if text.startswith(before, at) and (over := text.find(after, at + len(before))) >= 0:
                at = over + len(after)
    return "\n".join([*kept, text[at:]])


def _without_fences(text: str) -> str:
    kept, at, follows = list[str](), 0, False
    for block in fenced_blocks(text):
        follows = block.language in PYTHON or (follows and block.language in ("output", "system") and not text[at : block.begin].strip())
        if follows:
            kept.append(text[at : block.begin])
            at = block.end
    return "\n".join([*kept, text[at:]])


class Piece(NamedTuple):
    """A stretch of an attempt's text: one generation, code output, or what was put into its mouth."""

    text: str
    generated: bool
    output: bool


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
