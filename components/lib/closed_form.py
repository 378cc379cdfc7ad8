r"""Exact value of a short closed form, as a fraction: numbers with + - * / ^ ! \frac \binom \sqrt, and nothing else.

Everything is bounded before it is computed, so that 10^{10^{10}} costs as little as 2+2: no symbolic algebra, no float, no eval. What is
not understood has no value (None), never a guess. Does not know boxes, names, units or contests: that is answers.py.
"""

import math
import re
from fractions import Fraction

MAX_CHARS = 80
MAX_VALUE = 10**12
MAX_EXPONENT = 40
MAX_FACTORIAL = 14
MAX_BINOMIAL = 40
MAX_DEPTH = 12

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?(?:[eE]\+?\d{1,2})?)|(\\[dt]?frac|\\[dt]?binom|\\sqrt|\\cdot|\\times|\\div|!!|[-+*/^!(){}]))")
_BARE_ABOVE = re.compile(r"(\\[dt]?(?:frac|binom))\s*(\d)")
_BARE_BELOW = re.compile(r"(\\[dt]?(?:frac|binom)\s*\{[^{}]*\})\s*(\d)")
_TIMES = {"*", "\\cdot", "\\times"}
_DIVIDED = {"/", "\\div"}


class _No(Exception):
    """Not a closed form of ours, or beyond a bound."""


def value(text: str) -> Fraction | None:
    """The exact value of `text`, or None where it is not such a form or leaves the bounds above."""
    if len(text) > MAX_CHARS:
        return None
    try:
        reader = _Reader(_tokens(text))
        result = reader.sum()
        return result if reader.here == "" else None
    except _No:
        return None


def _tokens(text: str) -> list[str]:
    text = _BARE_BELOW.sub(r"\1{\2}", _BARE_ABOVE.sub(r"\1{\2}", text))  # TeX takes one digit where no brace opens
    found, at, text = [], 0, text.strip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _No
        found.append(token.group(1) or token.group(2))
        at = token.end()
    return found


class _Reader:
    """Recursive descent, one method per level of binding, weakest first."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0
        self._depth = 0

    @property
    def here(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self.here
        if token == "":
            raise _No
        self._at += 1
        return token

    def sum(self) -> Fraction:
        total = self._product()
        while self.here in {"+", "-"}:
            sign = 1 if self._next() == "+" else -1
            total = _bounded(total + sign * self._product())
        return total

    def _product(self) -> Fraction:
        total = self._signed()
        while True:
            if self.here in _TIMES:
                self._next()
                total = _bounded(total * self._signed())
            elif self.here in _DIVIDED:
                self._next()
                total = _divide(total, self._signed())
            elif self.here in {"(", "\\sqrt"}:
                total = _bounded(total * self._power())
            else:
                return total  # 3\frac{6}{3} is left unread: a product and a mixed number look alike

    def _signed(self) -> Fraction:
        if self.here in {"+", "-"}:
            sign = 1 if self._next() == "+" else -1
            if self.here in {"+", "-"}:
                raise _No
            return sign * self._power()
        return self._power()

    def _power(self) -> Fraction:
        base = self._atom()
        if self.here == "!":
            self._next()
            base = Fraction(math.factorial(_whole(base, MAX_FACTORIAL)))
        if self.here == "^":
            self._next()
            negative = self.here == "-"
            if negative:
                self._next()
            exponent = self._atom() * (-1 if negative else 1)
            if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or (base == 0 and exponent <= 0):
                raise _No
            base = _bounded(base ** int(exponent))
        return base

    def _atom(self) -> Fraction:
        token = self._next()
        if token[0].isdigit():
            return _number(token)
        if token == "(":
            return self._until(")")
        if token == "{":
            return self._until("}")
        if token.endswith("frac"):
            return _divide(self._group(), self._group())
        if token.endswith("binom"):
            n = _whole(self._group(), MAX_BINOMIAL)
            return Fraction(math.comb(n, _whole(self._group(), n)))
        if token == "\\sqrt":
            return _root(self._group())
        raise _No

    def _group(self) -> Fraction:
        if self._next() != "{":
            raise _No
        return self._until("}")

    def _until(self, closing: str) -> Fraction:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _No
        inner = self.sum()
        if self._next() != closing:
            raise _No
        self._depth -= 1
        return inner


def _number(token: str) -> Fraction:
    digits = token.lstrip("0")
    if len(digits) > len(str(MAX_VALUE)):
        raise _No
    return _bounded(Fraction(token))


def _bounded(number: Fraction) -> Fraction:
    if abs(number) > MAX_VALUE or number.denominator > MAX_VALUE:
        raise _No
    return number


def _divide(above: Fraction, below: Fraction) -> Fraction:
    if below == 0:
        raise _No
    return _bounded(above / below)


def _whole(number: Fraction, most: int) -> int:
    if number.denominator != 1 or not 0 <= number <= most:
        raise _No
    return int(number)


def _root(number: Fraction) -> Fraction:
    if number.denominator != 1 or number < 0:
        raise _No
    root = math.isqrt(int(number))
    if root * root != number:
        raise _No
    return Fraction(root)
