"""Reads the call that a model's turn ends with, as people's models write it; what cannot be read is told to the model and never run.

Covered: code between tags, ```python fences (py, Python, spaces, CRLF, at the end of a turn without a line feed), JSON with `arguments` or
`parameters` as an object or as a string, harmony's headers (python, functions.python). A call in JSON ends where its JSON does, whatever
marks stand in its strings. Looks at text alone: runs nothing, knows no engine.
"""

import ast
import json
import re
from typing import Any, NamedTuple

from components.lib.tool_syntax import HARMONY_FUNCTION, OPENMATH, PYTHON, Syntax, fenced_blocks


class Call(NamedTuple):
    """What a turn's text ends with."""

    code: str
    """What is to run; the call's own text where it cannot be read."""
    syntax: Syntax
    """In which its output is shown."""
    complaint: str = ""
    """What is wrong with it; then nothing runs."""
    closing: str = ""
    """What its model left out of the mark that ends it."""
    begin: int = 0
    """Where it begins in the text."""


def last_call(text: str, syntax: Syntax = OPENMATH, *, ended: bool = False) -> Call | None:
    """The call that `text` ends with; None where there is none, or where it goes on (a mark within a string).

    `text`: of one turn, from the last output on. `ended`: whether its model ended the turn, rather than a stop string.
    """
    closed = next((mark for mark in syntax.ends if text.endswith(mark)), "")
    if not closed and not ended:
        return None
    return READERS[syntax.call](text, closed, syntax)


def opened_by(prompt: str, syntax: Syntax) -> str:
    """The opening of a call that a prompt ends with: the reply begins inside it."""
    return syntax.begin if prompt.rstrip("\n").endswith(syntax.begin.rstrip("\n")) else ""


def _tags(text: str, closed: str, syntax: Syntax) -> Call | None:
    before = text[: len(text) - len(closed)]
    begin = before.rfind(syntax.begin)
    code = before[begin + len(syntax.begin) :]
    if not closed or begin < 0 or closed in code:
        return None
    try:
        given = _JSON.decode(code)
    except ValueError:
        given = None
    in_json = isinstance(given, dict) and "name" in given  # as the model wrote calls before it learned these tags
    call = _arguments(given, code, syntax) if in_json else _plain(code, closed, syntax)
    return call._replace(begin=begin)


def _fences(text: str, closed: str, syntax: Syntax) -> Call | None:
    block = next(reversed([*fenced_blocks(text)]), None)
    if block is None or block.language not in PYTHON or text[block.end :].strip():
        return None
    return _plain(block.code, "```", syntax)._replace(closing="" if text.endswith("\n") else "\n", begin=block.begin)


def _plain(code: str, mark: str, syntax: Syntax) -> Call:
    call = Call(code.strip("\n"), syntax)
    if code.endswith("\n") or not _ends_in_string(code):
        return call
    return call._replace(complaint=f"the code ends inside a string; {mark} ends a call wherever it stands: write it in two parts")


def _ends_in_string(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError as error:
        return error.msg.startswith("unterminated")
    except (ValueError, MemoryError, RecursionError):
        return False
    return False


def _hermes(text: str, closed: str, syntax: Syntax) -> Call | None:
    """From call to call, each to the end of its JSON."""
    end, at = syntax.end, 0
    while (begin := text.find(syntax.begin, at)) >= 0:
        body = text[begin + len(syntax.begin) :]
        try:
            found, length = _JSON.raw_decode(body.lstrip())
        except json.JSONDecodeError as error:
            if closed and error.msg.startswith("Unterminated string"):
                return None
            if end not in body:
                return Call(body, syntax, _not_json(error), end, begin) if body.lstrip().startswith("{") else None
            read, rest = Call(body[: body.find(end)], syntax, _not_json(error)), body[body.find(end) :]
        else:
            read, rest = _arguments(found, body.lstrip()[:length], syntax), body.lstrip()[length:].lstrip()
            extra = rest.partition(end)[0]
            if extra and syntax.begin not in extra and (end in rest or isinstance(found, dict)):
                read, rest = Call(body.removesuffix(end), syntax, f"something follows the JSON of the call; {RIGHT}"), rest[len(extra) :]
        after = rest.removeprefix(end)
        if not after.strip():
            return read._replace(closing="" if rest.startswith(end) else end, begin=begin)
        at = len(text) - len(after)
    return None


def _not_json(error: json.JSONDecodeError) -> str:
    return f"the call is not JSON: {error.msg.removesuffix(' at')} at character {error.pos}; {RIGHT}"


RIGHT = 'write {"name": "python", "arguments": {"code": "..."}}'


class _Decoder(json.JSONDecoder):
    """Whatever a model writes, JSONDecodeError is all that it raises."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        try:
            return super().raw_decode(s, idx)
        except RecursionError:
            raise json.JSONDecodeError("Too many brackets within each other", s, idx) from None


_JSON = _Decoder(strict=False, parse_int=float)  # line feeds in strings; no limit to the digits of a number


def _arguments(call: Any, raw: str, syntax: Syntax) -> Call:
    """The code of a call that is JSON."""
    unread = Call(raw, syntax, f"the call holds no code; {RIGHT}")
    if not isinstance(call, dict):
        return unread
    if (name := str(call.get("name", "python")).removeprefix("functions.").lower()) != "python":
        return unread._replace(complaint=f"there is no tool {name[:40]!r}, only python")
    given = call.get("arguments", call.get("parameters", call))
    if isinstance(given, str):
        try:
            given = _JSON.decode(given)
        except ValueError:
            return unread._replace(complaint=f"its arguments are not JSON; {RIGHT}")
    code = given.get("code") if isinstance(given, dict) else None
    return Call(code.strip("\n"), syntax) if isinstance(code, str) else unread


def _harmony(text: str, closed: str, syntax: Syntax) -> Call | None:
    before, _, rest = text[: len(text) - len(closed)].rpartition(syntax.turn)
    call = _harmony_message(rest, closed, syntax)
    return call and call._replace(begin=len(before.removesuffix("<|end|>")))


def _harmony_message(text: str, closed: str, syntax: Syntax) -> Call | None:
    header, found, body = text.partition("<|message|>")
    recipient = re.search(r"\bto=([\w.]+)", header)
    closing = "" if closed else syntax.end
    if recipient is None or not found:
        wrong = "its header names no recipient" if recipient is None else "it has no <|message|>"
        return Call(body, syntax, f"{wrong}; write to=python") if closed else None
    reply = HARMONY_FUNCTION if recipient[1].startswith("functions.") else syntax
    if recipient[1].removeprefix("functions.").lower() != "python":
        return Call(body, reply, f"there is no tool {recipient[1][:40]!r}, only python", closing)
    in_json = "json" in header[recipient.end() :]
    try:
        given = _JSON.decode(body.strip())
    except json.JSONDecodeError as error:
        if not in_json:
            return _plain(body, syntax.end, reply)._replace(closing=closing)
        return None if closed and error.msg.startswith("Unterminated string") else Call(body, reply, _not_json(error), closing)
    read = _arguments(given, body, reply)
    return (read if in_json or isinstance(given, dict) else Call(body.strip("\n"), reply))._replace(closing=closing)


READERS = {"tags": _tags, "fences": _fences, "hermes": _hermes, "harmony": _harmony}
