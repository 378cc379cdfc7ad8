"""Solutions that a source brings along: a text, or a chat whose tools answered, as the rows that attempts are.

Covered: text that holds calls and their outputs in a known syntax (components/lib/tool_syntax.py), and chats of {role, content} with one
question: an optional system message, which is passed over (rows hold the prompts of `compose`), the user's, and the assistant's, with
tool messages between its pieces. What cannot be read so says why and is left out; its problem stays. Runs nothing, grades nothing.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.collect.source import is_clean
from components.core import rows
from components.core.types import Candidate, CodeRun, Inserted, Problem
from components.lib import answers, tool_calls
from components.lib.answers import Contest
from components.lib.sources import SOLUTIONS
from components.lib.tool_syntax import HARMONY_FUNCTION, OPENMATH, SYNTAXES, Syntax, output_block

_FAILED = re.compile(r"^Traceback \(most recent call last\)|^\w+(?:Error|Exception)\b", re.MULTILINE)
_IN_CHATS = (SYNTAXES["hermes"], OPENMATH, SYNTAXES["fences"])
"""How an assistant's message may end in a call; hermes first, whose JSON stands between openmath's tags."""


class UnreadableError(Exception):
    """Why a chat or a solution cannot be used."""


class Written(NamedTuple):
    """A solution as an attempt's text."""

    text: str
    runs: tuple[CodeRun, ...]
    inserted: tuple[Inserted, ...]


class Chat(NamedTuple):
    """One question and its answer."""

    statement: str
    reply: Sequence[dict[str, Any]]
    """Messages of assistant and tool, beginning and ending with the assistant."""


def chat(messages: Any) -> Chat:
    """The question and the answer of a list of messages; raises UnreadableError where it is another conversation."""
    if not isinstance(messages, list) or not all(isinstance(one, dict) and isinstance(one.get("content"), str) for one in messages):
        raise UnreadableError("messages are no list of {role, content}, both text")
    turns = messages[1:] if messages and messages[0].get("role") == "system" else messages
    roles = " ".join(str(one.get("role")) for one in turns)
    if not re.fullmatch(r"user assistant(?: tool assistant)*", roles):
        raise UnreadableError("messages are not one question and its answer")
    return Chat(turns[0]["content"], turns[1:])


def written(solution: Any) -> Written:
    """A solution, a text or the messages of a Chat, as an attempt's text; raises UnreadableError where it cannot be used."""
    if isinstance(solution, str):
        found = _of_text(solution)
    elif isinstance(solution, list):
        found = _of_chat(solution)
    else:
        raise UnreadableError("solution not text")
    if not found.text.strip():
        raise UnreadableError("solution empty")
    if not is_clean(found.text):
        raise UnreadableError("solution not clean text")
    return found


def _of_chat(reply: Sequence[dict[str, Any]]) -> Written:
    """The assistant's messages as one text, what tools answered put between them as the loop of `solve` would."""
    text, runs, inserted = "", list[CodeRun](), list[Inserted]()
    for said in reply:
        if said["role"] == "assistant":
            text += said["content"]
            continue
        since = inserted[-1].end if inserted else 0
        text = text.rstrip()
        call = next(filter(None, (_call(text[since:], syntax) for syntax in _IN_CHATS)), None)
        if call is None:
            raise UnreadableError("a tool answers what is no call in a known syntax")
        text += call.closing
        shown = output_block(said["content"], call.syntax)
        inserted.append(Inserted(begin=len(text), end=len(text) + len(shown), output=True))
        runs.append(_run(call.code, said["content"]))
        text += shown
    return Written(text, tuple(runs), tuple(inserted))


def _of_text(text: str) -> Written:
    """A solution with its calls and outputs, as they stand in it."""
    for syntax in (*SYNTAXES.values(), HARMONY_FUNCTION):
        runs, inserted, at = list[CodeRun](), list[Inserted](), 0
        for found in _outputs(syntax).finditer(text):
            call = _call(text[at : found.end(1)], syntax)
            if call is None:
                raise UnreadableError("output follows what is no call")
            at = found.end()
            runs.append(_run(call.code, found[2]))
            inserted.append(Inserted(begin=found.end(1), end=at, output=True))
        if runs:
            return Written(text, tuple(runs), tuple(inserted))
    if OPENMATH.end in text:
        raise UnreadableError("calls code, but no output follows")
    return Written(text, (), ())


def _call(text: str, syntax: Syntax) -> tool_calls.Call | None:
    call = tool_calls.last_call(text, syntax, ended=True)
    return None if call is None or call.complaint else call


def _outputs(syntax: Syntax) -> re.Pattern[str]:
    """A call's end and the output after it; at the end of the text its last line feed may be missing."""
    ends, before, after = "|".join(map(re.escape, syntax.ends)), re.escape(syntax.before), re.escape(syntax.after.removesuffix("\n"))
    return re.compile(rf"({ends}){before}(.*?){after}\n?{re.escape(syntax.turn)}", re.DOTALL)


def _run(code: str, output: str) -> CodeRun:
    return CodeRun(code=code, output=output, status="error" if _FAILED.search(output) else "ok")


def candidate(written: Written, contest: Contest) -> Candidate:
    """The solution as a row; its problem and its place among the problem's solutions are not known yet."""
    boxed, printed = answers.parse(written.text, contest), answers.printed(written.runs, contest)
    return Candidate(
        problem="",
        index=0,
        mode="tir" if written.runs else "cot",
        text=written.text,
        answer=boxed.answer,
        abstained=boxed.reason,
        boxed=boxed.answer,
        printed=printed.answer,
        runs=written.runs,
        num_tokens=0,  # no model generated it
        entropies=(),
        seconds=0.0,
        finish_reason="stop",
        seed=0,
        rank=None,
        isolation="none",
        parent=None,
        inserted=written.inserted,
    )


class SolutionsFile:
    """Solutions kept aside as they come, in any order; sealed in the problems' order. Of each, two numbers stay in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._aside = folder, folder / "solutions.jsonl"
        self._kept = self._aside.open("w+b")
        self._places = list[tuple[int, int]]()
        """The problem's place among those kept, and where the solution lies."""

    def add(self, place: int, solution: Candidate) -> None:
        self._places.append((place, self._kept.tell()))
        self._kept.write(solution.model_dump_json().encode() + b"\n")

    def seal(self, problems: Path) -> int:
        """Writes them all; returns how many there are."""
        num = rows.write(self._folder / SOLUTIONS, self._sorted(problems), Candidate)
        self._kept.close()
        self._aside.unlink()
        return num

    def _sorted(self, problems: Path) -> Iterator[Candidate]:
        at, number, named = -1, 0, rows.read(problems, Problem)
        for place, begin in sorted(self._places):
            number = number + 1 if place == at else 0
            while at < place:
                at, problem = at + 1, next(named)
            self._kept.seek(begin)
            solution = Candidate.model_validate_json(self._kept.readline())
            yield solution.model_copy(update={"problem": problem.id, "index": number})
