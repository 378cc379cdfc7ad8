r"""The final answer of a text: find the box, read one integer, hold it against the contest's range.

One function (`parse`) serves the early stop, the vote, the reward and the grader, so that they can never disagree. What is not clearly
one integer abstains and says why: a wrong vote costs more than a missing one. In a text only the content of a box counts; what the last
code run printed is a reading of its own (`printed`), and `choose` says which of the two an attempt votes for. Exact arithmetic on short
closed forms is closed_form.py's; nothing here knows models or engines.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from components.core.params import Config
from components.core.types import CodeRun
from components.lib import closed_form, tool_syntax

MAX_BOX_CHARS = 200
THINK = "</think>"


class Contest(Config, section="contest"):
    """Which integers are answers."""

    low: int
    high: int
    modulus: int | None
    """A larger answer of a model is taken modulo this; None: it abstains. The answers of a data set are never reduced."""


class ParsedAnswer(NamedTuple):
    """What a text or a print answers. Exactly one of `answer` and `reason` is None."""

    answer: int | None
    reason: str | None
    """Why it abstains: no box, unclosed box, box too long, not an integer (or one beyond 10^12), negative, out of range; of a print:
    no code ran, the code did not end well, nothing printed, no integer printed (or one beyond
    10^12), negative print, print out of range."""
    raw: str | None
    """The box's content, or the last line printed, as it stood."""
    reduced: bool
    """Whether the answer was taken modulo contest.modulus."""


def parse(text: str, contest: Contest) -> ParsedAnswer:
    """The answer in the last complete box after the last `</think>`; in the whole text where there is none, or nothing after it."""
    raw, opened = _last_box(tool_syntax.without_calls(text).rstrip().removesuffix(THINK).rpartition(THINK)[2])
    if raw is None:
        return ParsedAnswer(None, "unclosed box" if opened else "no box", None, False)
    if len(raw) > MAX_BOX_CHARS:
        return ParsedAnswer(None, "box too long", raw, False)
    number = integer(raw)
    if number is None:
        return ParsedAnswer(None, "not an integer", raw, False)
    return _held(number, raw, contest, "negative", "out of range")


def printed(runs: Sequence[CodeRun], contest: Contest) -> ParsedAnswer:
    """The integer that ends the last line of what the last code run printed, where that run ended well.

    After imagination_aimo2/local_eval_kaggle.py (the 2nd place of AIMO-2: last integer of the output), but stricter: what stands last there
    must be an integer, so `[1, 2]`, `3/4`, `0.5` and `n = x` abstain.
    """
    if not runs:
        return ParsedAnswer(None, "no code ran", None, False)
    if runs[-1].status != "ok":
        return ParsedAnswer(None, "the code did not end well", None, False)
    line = runs[-1].output.strip().rpartition("\n")[2].strip()
    if not line:
        return ParsedAnswer(None, "nothing printed", None, False)
    found = _PRINTED.search(line)
    number = integer(found[1]) if found else None  # the box's rule: a number beyond 10^12 is no answer in either place
    if number is None:
        return ParsedAnswer(None, "no integer printed", line, False)
    return _held(number, line, contest, "negative print", "print out of range")


AnswerSource = Literal["boxed-first", "printed-first", "boxed", "printed"]
"""What an attempt votes for: one of the two readings, and the other where the first abstains, or only the one."""


def choose(boxed: ParsedAnswer, printed: ParsedAnswer, answer_source: AnswerSource) -> ParsedAnswer:
    """The reading that counts. Where both abstain, the reason of the preferred one that said anything at all."""
    order = {"boxed-first": (boxed, printed), "printed-first": (printed, boxed), "boxed": (boxed,), "printed": (printed,)}[answer_source]
    answered = [reading for reading in order if reading.answer is not None]
    said = [reading for reading in order if reading.raw is not None]
    return [*answered, *said, *order][0]


def _held(number: int, raw: str, contest: Contest, negative: str, outside: str) -> ParsedAnswer:
    """A number against the contest's range, with the reasons to give."""
    if number < 0:
        return ParsedAnswer(None, negative, raw, False)  # -5 modulo 1000 would invent the answer 995
    reduced = number > contest.high and contest.modulus is not None
    answer = number % contest.modulus if reduced and contest.modulus else number
    if not contest.low <= answer <= contest.high:
        return ParsedAnswer(None, outside, raw, False)
    return ParsedAnswer(answer, None, raw, reduced)


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


_PRINTED = re.compile(r"(?:^|(?<=[\s=:$(]))(?<!,\s)([-+]?\d+)(?:\.0*)?[.$)]{0,2}$")
"""An integer (`42`, `42.0`, `x=42`, `(42)`, `$42$.`) at the end of a line."""


# ---- boxes -----------------------------------------------------------------------------------------------------------

_BOX = re.compile(r"\\(?:boxed|fbox)")
_BOX_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\(?:boxed|fbox)\s*(?P<bare>-?\d+(?:\.\d+)?)|\\.|(?P<brace>[{}])", re.DOTALL)


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

_WRAPPERS = (
    r"\\(?:text|textnormal|textbf|textit|textrm|textsf|mathrm|mathbf|mathit|mathsf|mbox|boldsymbol|bm|operatorname|boxed|fbox|bf|rm)"
)
_WRAPPED = re.compile(_WRAPPERS + r"\s*\{([^{}]*)\}")
_UNIT_NAME = r"\{\s*(?!(?:hundred|thousand|million|billion|dozen)s?\b)[A-Za-z][A-Za-z .^/0-9]*\}(\^\{?\d\}?)?"
_UNIT = re.compile(r"(?<=[^\s=])\s*" + _WRAPPERS + r"\s*" + _UNIT_NAME + r"\s*$")
_LABEL = re.compile(_WRAPPERS + r"\s*\{[A-Za-z ]*(?::|\bis)\s*\}")
_INVISIBLE = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\displaystyle|\\!|\\[()\[\]]|\$")
_SPACE = re.compile(r"\\[;: ]|\\q?quad(?![a-z])|~")
_GROUP_MARK = re.compile(r"(?<=\d),\\!\s*(?=\d{3})")
_THIN = re.compile(r"(?<=\d)\\,(?=\d)")
_MOD = re.compile(r"(?:\\[,;: ]|[~\s])*(?:\\pmod\s*(?:\{[^{}]*\}|\d+)|\(\s*(?:\\bmod|\\mod|\\text\s*\{\s*mod\s*\}|mod)\s*\d+\s*\))")
_MOD_SUFFIX = re.compile(r"\\[bp]?mod\s*(?:\{[^{}]*\}|\d+)\s*$")
_SIGNS = re.compile(r"\^\s*(?:\{\s*)?\\circ(?:\s*\})?|\^\s*°|°|\\degree|\\?%|(?<=\d)\s*(?:percent(?:age)?|pct)\s*$|^\s*(?:\\\$|[€£])")
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
    text = _GROUP_MARK.sub(",", text)
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
