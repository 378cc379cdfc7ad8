"""A statement's two forms: as it is kept (`normalise`), and as it is compared (`canonical`).

The canonical form is one string: lower-case tokens parted by spaces, one sentence per line. Format, TeX dialect, boilerplate and the
names of variables are gone; words, numbers, operators and brackets stay, so that equal forms ask the same question. It is compared
and never stored. A figure's source counts as one word: two copies of a problem may draw it differently, and two problems may differ in
nothing else. Not covered: number words above twelve; in languages other than English only format is folded.
"""

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from string import ascii_letters
from string import digits as DIGITS

KEPT_LETTERS = frozenset("ei")
"""Euler's number and the imaginary unit: renaming them would make different problems equal."""
ARTICLES = frozenset("aAiI")
"""Single letters that are words outside mathematics."""

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")

_PERHAPS_BOILERPLATE = re.compile(r"(?i)answer|problem|question|exercise|step by")
_BOILERPLATE = re.compile(
    r"^\W*(?:\d{4}\s+)?(?:aime|amc|hmmt|aimo)\b[^.:\n]{0,30}problem\s+\d+\s*[.:]"
    r"|^\W*(?:problem|question|exercise)\s+\d+\s*[.:]"
    r"|\b(?:please\s+)?solve the following (?:math(?:ematics|s)?\s+)?problem[^.:\n]{0,40}[.:]"
    r"|\b(?:please\s+)?(?:think|reason) step by step[^.\n]*\.?"
    r"|\b(?:please\s+)?(?:put|give|express|write|return|enter) (?:your|the) (?:final )?answer "
    r"(?:in|within|inside|as) (?:\\boxed|an? integer\b)[^.\n]*\.?"
    r"|\b(?:the|your) (?:final )?answer (?:is|will be|should be|must be) (?:an?|guaranteed)\b[^.\n]*\binteger\b[^.\n]*\.?",
    re.IGNORECASE,
)
_FOLDED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), to)
    for pattern, to in (
        (r"\[/?(?:b|i|u|color|size|center|hide|quote|url)(?:=[^\]]*)?\]", " "),
        (r"\\\$|~|\\\\|\\[,;:!> ]|\\begin\{[a-z]+\*?\}|\\end\{[a-z]+\*?\}", " "),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\^\s*\{?\s*\\circ\s*\}?", r" \\degrees "),
        (r"\.\.\.+", r" \\dots "),
        (r"-(?:(?<=[A-Za-z]{2}-)|(?=[A-Za-z]{2}))", " "),
        (r"\{,\}(?=\d{3})", ""),
        (r"\\([{}])", r" \1 "),
        (r"\{\s*(\w+|\\[A-Za-z]+)\s*\}", r" \1 "),
    )
)
_AS_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_BRACES = str.maketrans({"{": " ( ", "}": " ) "})
_ENUMERATED = re.compile(r"\b((?:v\d+ )?)1 \1\b2 (?:\1\b3 )?(?:\1\b4 )?dots\b")
"""x_1, x_2, ... and x_1, x_2, x_3, ... are the same sequence, and the indices are no numbers of the problem."""
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "≤": " \\le ", "≥": " \\ge ", "⁄": "/", "°": " \\degrees "}
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹]+")  # NFKC alone makes 23 of 2³
_FRACTIONS = re.compile("[¼-¾⅐-⅞]")  # and 11⁄2 of 1½
_FIGURE = re.compile(r"\[asy\].*?\[/asy\]|\\begin\{(asy|tikzpicture)\}.*?\\end\{\1\}", re.DOTALL)
_THOUSANDS = re.compile(r"(?<![\d.,(])[1-9]\d{0,2}(?:,\d{3})+\b")
_WORDS_IN_TEX = re.compile(r"\\(?:text(?:it|bf|rm)?|math(?:rm|bf|it)|mbox|emph|operatorname)\s*\{([^{}]*)\}")
_MATHS = re.compile(r"(\$\$.+?\$\$|\$.+?\$|\\\(.+?\\\)|\\\[.+?\\\])", re.DOTALL)
_SYMBOLS = r"\d+(?:\.\d+)?|[.?](?!\w)|[-+=<>^*/()!|%]"
_IN_MATHS = re.compile(r"\\[A-Za-z]+|[^\W\d_]|" + _SYMBOLS)
_IN_TEXT = re.compile(r"\\?[^\W\d_]+|" + _SYMBOLS)
_SYNONYMS = {
    **{"?": ".", "modulo": "mod", "\\pmod": "mod", "\\bmod": "mod", "\\dfrac": "frac", "\\tfrac": "frac", "\\cfrac": "frac"},
    **{"\\cdot": "*", "\\times": "*", "\\leq": "le", "\\leqslant": "le", "\\geq": "ge", "\\geqslant": "ge", "\\neq": "ne"},
    **dict.fromkeys(("\\ldots", "\\cdots", "\\dotsc", "\\dotsb", "\\vdots"), "dots"),
    **dict.fromkeys(("\\left", "\\right", "\\big", "\\Big", "\\bigl", "\\bigr", "\\quad", "\\qquad", "\\displaystyle", "\\limits"), ""),
    **{"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"},
    **{"eleven": "11", "twelve": "12"},  # "one" is a pronoun too often
}


def normalise(statement: str) -> str:
    """The statement as it is kept: Unicode NFC, plain line ends, no stray blanks; nothing else is touched."""
    text = unicodedata.normalize("NFC", statement).replace("\r\n", "\n").replace("\r", "\n").replace("\u200b", "")
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def canonical(statement: str) -> str:
    """The statement as it is compared; two statements with the same canonical form ask the same question."""
    parted = _FRACTIONS.sub(r" \g<0>", _SUPERSCRIPTS.sub(r" ^\g<0> ", statement))
    text = unicodedata.normalize("NFKC", parted).translate(_SIGNS)
    text = _FIGURE.sub(_figure, text)
    if _PERHAPS_BOILERPLATE.search(text):
        text = _BOILERPLATE.sub(" ", text)
    text = _WORDS_IN_TEX.sub(lambda found: " ".join("\\" + word for word in found[1].split()), text)
    text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    for pattern, to in _FOLDED:
        text = pattern.sub(to, text)
    tokens = _ENUMERATED.sub(r"\g<1>1 dots", " ".join(_tokens(text.translate(_BRACES))))
    sentences = tokens.split(" . ")
    return "\n".join(stripped for sentence in sentences if (stripped := sentence.removesuffix(" .").strip()))


def _figure(found: re.Match[str]) -> str:
    drawn = "".join(found[0].split())
    return f" \\fig{hashlib.sha256(drawn.encode()).hexdigest()[:16].translate(_AS_LETTERS)} "


def numbers(form: str) -> tuple[str, ...]:
    """The numbers that a canonical form holds, each once, sorted: copies of a problem differ in how often they repeat one."""
    return tuple(sorted({token for token in form.split() if token[0].isdigit()}))


def mask_numbers_and_variables(form: str) -> list[str]:
    """The words of a canonical form, all numbers as one mark and all variables as another: how it is said.

    Variables are named by their first use, so that their names hang on the order of the sentences.
    """
    return ["#" if word[0] in DIGITS else "v" if word[0] == "v" and word[-1] in DIGITS else word for word in form.split()]


def mask_variables(form: str) -> list[str]:
    """The words of a canonical form with its numbers, all variables as one mark: inside a longer text they have other names."""
    return ["v" if word[0] == "v" and word[-1] in DIGITS else word for word in form.split()]


def _tokens(text: str) -> Iterator[str]:
    names: dict[str, str] = {}
    for place, segment in enumerate(_MATHS.split(text)):
        maths = place % 2 == 1
        if maths:
            segment = segment.removeprefix("\\(").removesuffix("\\)")
        for token in (_IN_MATHS if maths else _IN_TEXT).findall(segment):
            if len(token) == 1 and token in ascii_letters and token not in KEPT_LETTERS and (maths or token not in ARTICLES):
                yield names.setdefault(token, f"v{len(names)}")
            elif folded := _token(token):
                yield folded


@functools.lru_cache(maxsize=1 << 16)
def _token(token: str) -> str:
    if token[0].isdigit():
        whole, _, decimals = token.partition(".")
        return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals.strip("0") else "")
    folded = _SYNONYMS.get(token, token.removeprefix("\\").lower())
    return _SYNONYMS.get(folded, folded)
