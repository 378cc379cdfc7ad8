r"""The final answer of a text: find the box, read one integer, hold it against the contest's range.

One function (`read`) serves the early stop, the vote, the reward and the grader, so that they can never disagree. What is not clearly
one integer abstains and says why: a wrong vote costs more than a missing one. Only the content of a box counts; code, and what code
printed, never does. Exact arithmetic on short closed forms is closed_form.py's; nothing here knows models or engines.
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from components.core.params import Config
from components.lib import closed_form, tool_syntax

MAX_BOX_CHARS = 200


class Contest(Config, section="contest"):
    """Which integers are answers."""

    low: int
    high: int
    modulus: int | None
    """A larger answer of a model is taken modulo this; None: it abstains. The answers of a data set are never reduced."""


class Reading(NamedTuple):
    """What a text answers. Exactly one of `answer` and `reason` is None."""

    answer: int | None
    reason: str | None
    """Why it abstains: no box, unclosed box, box too long, not an integer (or one beyond 10^12), negative, out of range."""
    raw: str | None
    """The box's content as it stood."""
    reduced: bool
    """Whether the answer was taken modulo contest.modulus."""


def read(text: str, contest: Contest) -> Reading:
    """The answer in the last complete box after the last `</think>` (in the whole text where there is none)."""
    raw, opened = _last_box(_said(text).rpartition("</think>")[2])
    if raw is None:
        return Reading(None, "unclosed box" if opened else "no box", None, False)
    if len(raw) > MAX_BOX_CHARS:
        return Reading(None, "box too long", raw, False)
    number = integer(raw)
    if number is None:
        return Reading(None, "not an integer", raw, False)
    if number < 0:
        return Reading(None, "negative", raw, False)  # -5 modulo 1000 would invent the answer 995
    reduced = number > contest.high and contest.modulus is not None
    answer = number % contest.modulus if reduced and contest.modulus else number
    if not contest.low <= answer <= contest.high:
        return Reading(None, "out of range", raw, False)
    return Reading(answer, None, raw, reduced)


def boxed(text: str) -> str | None:
    """What stands in the last complete box of a written solution; None where there is none."""
    return _last_box(text)[0]


def integer(text: str) -> int | None:
    """The one integer that `text` (a box's content, an answer column) stands for, whatever its range; None where there is none."""
    if len(text) > MAX_BOX_CHARS:
        return None
    plain = _plain(text)
    *symbolic, first = plain.split("\\equiv")
    sides = list(_split(_MOD_SUFFIX.sub("", first) if symbolic else first, "="))
    if len(sides) > 1 and _value(sides[0]) is None and _is_name(sides[0]):
        sides = sides[1:]
    values = {_value(side) for side in sides}
    number = values.pop()
    return int(number) if not values and number is not None and number.denominator == 1 else None


def gold(text: str | int | float, contest: Contest) -> int:
    """The answer of a data set, exactly: 27, 27.0, "027" and "27" are 27. ValueError with the reason when it is no integer in range."""
    number = integer(text if isinstance(text, str) else f"{text}" if isinstance(text, int) else f"{text:.6f}")
    if number is None or isinstance(text, bool) or (isinstance(text, float) and number != text):
        raise ValueError(f"{text!r} is not an integer")
    if not contest.low <= number <= contest.high:
        raise ValueError(f"{number} is outside {contest.low}..{contest.high}")
    return number


# ---- boxes -----------------------------------------------------------------------------------------------------------

_BOX = re.compile(r"\\(?:boxed|fbox)")
_BOX_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\(?:boxed|fbox)\s*(?P<bare>-?\d+(?:\.\d+)?)|\\.|(?P<brace>[{}])", re.DOTALL)
_OUTPUT = re.compile(r"\s*```output\n.*?\n```", re.DOTALL)


def _said(text: str) -> str:
    """The text without code blocks and their outputs."""
    pieces = text.split(tool_syntax.END)
    for at, piece in enumerate(pieces):
        output = _OUTPUT.match(piece) if at else None
        piece = piece[output.end() :] if output else piece
        pieces[at] = piece.rpartition(tool_syntax.BEGIN)[0] if at + 1 < len(pieces) and tool_syntax.BEGIN in piece else piece
    return "\n".join(pieces)


def _last_box(text: str) -> tuple[str | None, bool]:
    """The content of the box that closes last (of nested boxes: the outer one), and whether any box was opened. One pass."""
    found, opened = None, False
    stack: list[int | None] = []
    first = _BOX.search(text)
    for token in _BOX_TOKEN.finditer(text, first.start() if first else len(text)):
        opened = opened or token["box"] is not None
        if token["bare"]:
            found = token["bare"]
        elif token["box"]:
            stack.append(token.end())
        elif token["brace"] == "{":
            stack.append(None)
        elif token["brace"] == "}" and stack:
            begin = stack.pop()
            found = text[begin : token.start()] if begin is not None else found
    return found, opened


# ---- from a box's content to a closed form -----------------------------------------------------------------------------

_WRAPPERS = r"\\(?:text|textbf|textit|textrm|textsf|mathrm|mathbf|mathit|mathsf|mbox|boldsymbol|bm|operatorname|boxed|fbox|bf|rm)"
_WRAPPED = re.compile(_WRAPPERS + r"\s*\{([^{}]*)\}")
_UNIT_NAME = r"\{\s*(?!(?:hundred|thousand|million|billion|dozen)s?\b)[A-Za-z][A-Za-z .^/0-9]*\}(\^\{?\d\}?)?"
_UNIT = re.compile(r"(?<=[^\s=])\s*" + _WRAPPERS + r"\s*" + _UNIT_NAME + r"\s*$")
_LABEL = re.compile(_WRAPPERS + r"\s*\{[A-Za-z ]*(?::|\bis)\s*\}")
_INVISIBLE = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\displaystyle|\\!|\\[()\[\]]|\$")
_SPACE = re.compile(r"\\[;: ]|\\q?quad(?![a-z])|~")
_THIN = re.compile(r"(?<=\d)\\,(?=\d)")
_MOD = re.compile(r"\\pmod\s*(?:\{[^{}]*\}|\d+)|\(\s*(?:\\bmod|\\mod|\\text\s*\{\s*mod\s*\}|mod)\s*\d+\s*\)")
_MOD_SUFFIX = re.compile(r"\\[bp]?mod\s*(?:\{[^{}]*\}|\d+)\s*$")
_SIGNS = re.compile(r"\^\s*(?:\{\s*)?\\circ(?:\s*\})?|\^\s*°|°|\\degree|\\?%|^\s*(?:\\\$|[€£])")
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:[, ]\d{3})+(?:\.0*)?")
_SCRIPTS = {ord(raised): plain for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}
_TERM = r"\s*\|?(?:\\[A-Za-z]++(?:\{[A-Za-z]++\})?|[A-Za-z' ]|\[[A-Z]++\])++(?:_(?:\{[^{}]*\}|\w))?\s*(?:\((?:[^()]|\([^()]*\))*\))?\|?\s*"
_NAME = re.compile(_TERM + r"(?:\+" + _TERM + ")*")
_RELATION = re.compile(r"\\(?:leq?|geq?|neq?|lt|gt|approx|in|pm|to|sim|cup)(?![a-z])|\b(?:or|and)\b")


def _plain(text: str) -> str:
    """The content without dressing: full-width digits, dollars, spacing, wrappers, units, degree, percent, currency, (mod n)."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda raised: _raised(raised.group().translate(_SCRIPTS)), text)  # NFKC would read 4² as 42
    text = re.sub("[₀-₉]", "_", text)  # and 42₈ as 428
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").replace("{,}", ",")
    text = _SIGNS.sub("", _MOD.sub("", text.strip()).strip().removesuffix("."))
    text = _THIN.sub("", _SPACE.sub(" ", _INVISIBLE.sub("", text))).replace("\\,", " ")
    text = _UNIT.sub("", _LABEL.sub("", text).strip())
    for _ in range(4):
        text = _WRAPPED.sub(r" \1 ", text)
    text = re.sub(r"^\s*\\\{(.*)\\\}\s*$", r"\1", text, flags=re.DOTALL)
    return _MOD.sub("", text).strip().removesuffix(".")


def _raised(digits: str) -> str:
    return f"^{digits}" if len(digits) == 1 else f"^{{{digits}}}"


def _split(text: str, mark: str) -> Iterator[str]:
    """The parts of `text` between marks that stand outside all braces and brackets."""
    depth, begin = 0, 0
    for at, char in enumerate(text):
        depth += (char in "{([") - (char in "})]")
        if char == mark and depth == 0:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def _is_name(side: str) -> bool:
    """Whether a side may name the value beside it: x, m+n, a_{10}, f(1, 2), [ABC]; not 2x + 3y, a list, a relation or two answers."""
    return _NAME.fullmatch(side) is not None and re.search("[A-Za-z]", side) is not None and _RELATION.search(side) is None


def _value(side: str) -> Fraction | None:
    side = side.strip().removesuffix(".")
    return closed_form.value(re.sub("[, ]", "", side) if _GROUPED.fullmatch(side) else side)
