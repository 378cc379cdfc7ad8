r"""An attempt made in any family's syntax, as if it had been made in openmath: the one in which rows are written and trained models asked.

NVIDIA does so with the fences of LIMO and QwQ (paper, section 3). Calls become tags, outputs openmath's blocks, harmony's channels a
thought and its answer; what was told beside an output stays. Knows no training set; runs nothing.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.core.types import Candidate, CodeRun, Inserted
from components.lib.tool_calls import Call, last_call
from components.lib.tool_syntax import OPENMATH, SYNTAXES, output_block, shown

OPENING, CLOSING = f"{OPENMATH.begin}\n", f"\n{OPENMATH.end}"
THOUGHT = "<think>\n"
_CHANNEL = re.compile(r"(<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>(\w+)[^<]*<\|message\|>")
_SYSTEM = re.compile(r"```system\n(.*)\n```\n\Z", re.DOTALL)


class Edit(NamedTuple):
    """A stretch of the old text, [begin, end), and what stands there in the new one."""

    begin: int
    end: int
    text: str
    call: bool = False


def in_openmath(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that can be, in openmath."""
    return [new for candidate in candidates if (new := to_openmath(candidate)) is not None]


def to_openmath(candidate: Candidate) -> Candidate | None:
    """The attempt in openmath, unchanged where it is so already; None where a call of it cannot be told from the text around it."""
    outputs = [span for span in candidate.inserted if span.output]
    ends = [0, *(span.end for span in outputs)]
    edits = list[Edit]()
    calls = list[Call]()
    for begin, run, span in zip(ends, candidate.runs, outputs, strict=False):
        said, block = candidate.text[begin : span.begin], candidate.text[span.begin : span.end]
        call = _read(said, run, block)
        if call is None:
            return None
        calls.append(call)
        edits += [
            Edit(begin + call.begin, span.begin, f"{OPENING}{run.code}{CLOSING}", call=True),
            Edit(span.begin, span.end, output_block(run.output, notice=_notice(block, run, call))),
        ]
        if block.endswith(THOUGHT):  # its template opened it; a model of tags does so itself
            edits.append(Edit(span.end, span.end, THOUGHT))
    if all(call.syntax.call == "tags" for call in calls) and not _CHANNEL.match(candidate.text):
        return candidate
    over = last_call(candidate.text[ends[-1] :], calls[-1].syntax, ended=True) if calls else None
    if over:
        edits.append(Edit(ends[-1] + over.begin, len(candidate.text), f"{OPENING}{over.code}{CLOSING}", call=True))
    return _edited(candidate, sorted([*edits, *_channels(candidate.text, edits)], key=lambda edit: edit[:2]))


def _read(said: str, run: CodeRun, block: str) -> Call | None:
    """The call that `said` ends with, which ran and was answered by `block`."""
    for syntax in SYNTAXES.values():
        call = last_call(said, syntax, ended=True)
        if call and call.code == run.code and block.startswith(call.closing + call.syntax.before):
            return call if not call.complaint or call.syntax.call == "tags" else None
    return Call(run.code, OPENMATH) if said.endswith(OPENMATH.end) and block.startswith(OPENMATH.before) else None


def _notice(block: str, run: CodeRun, call: Call) -> str:
    """What was told beside the output."""
    if not call.syntax.turn:
        found = _SYSTEM.search(block)
        return found[1] if found else ""
    told = block.removeprefix(call.closing + call.syntax.before)
    told = told[: told.rfind(call.syntax.last_line + call.syntax.after)]
    text: str = json.loads(told) if call.syntax.quoted else told
    return text.removeprefix(shown(run.output, call.syntax)).strip("\n")


def _channels(text: str, edits: Sequence[Edit]) -> Iterator[Edit]:
    """Harmony's headers in what the model said: its analysis is the thought, what comes last the answer."""
    thinks = False
    for begin, end in zip([0, *(edit.end for edit in edits)], [*(edit.begin for edit in edits), len(text)], strict=True):
        for header in _CHANNEL.finditer(text, begin, end):
            if header[2] == "final":
                became = "\n</think>\n" if thinks else ""
            elif thinks:
                became = "\n\n" if header[1] else ""
            else:
                became, thinks = THOUGHT, True
            yield Edit(header.start(), header.end(), became)


def _edited(candidate: Candidate, edits: Sequence[Edit]) -> Candidate:
    """The candidate with its text rewritten and its marks moved along; the seams go: openmath's stop strings do not stand there."""
    parts, at = list[str](), 0
    for edit in edits:
        parts += [candidate.text[at : edit.begin], edit.text]
        at = edit.end
    spans = (
        Inserted(begin=_moved(span.begin, edits), end=_moved(span.end, edits, ends=True), output=span.output)
        for span in candidate.inserted
        if span.begin < span.end
    )
    return candidate.model_copy(update={"text": "".join([*parts, candidate.text[at:]]), "inserted": tuple(spans)})


def _moved(place: int, edits: Sequence[Edit], *, ends: bool = False) -> int:
    """Where a place of the old text is in the new one; what `ends` within a call has opened it."""
    moved = place
    for edit in edits:
        if edit.begin < place < edit.end:
            return moved + edit.begin - place + (len(OPENING) if ends and edit.call else 0)
        if edit.begin < place:
            moved += len(edit.text) - (edit.end - edit.begin)
    return moved
