"""What the base model reads before it is taught anything: lookup lines and programs.

A document is a list of pieces, of which only some carry loss: what is given (`39/9:`) cannot be guessed, what follows (`36+3`) can.
In this file a `|` marks where the given part of a line ends; a line without it is given as a whole.
"""

import itertools
import math
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from components.lib.arithmetic import operands, steps
from components.lib.arithmetic.families import problem, split_class

LOOKUP_SHARE = 0.7
SMALL_SHARE = 0.75
LENGTH = 94
"""Characters of a lookup document, about 88 tokens."""
EXAM_CLASS = 0


class Piece(NamedTuple):
    """A stretch of text, and whether it is trained on."""

    text: str
    has_loss: bool


def document(seed: int) -> list[Piece]:
    """The document of a seed: lookup lines, or a statement and its programs. No program of an exam group is ever shown."""
    rng = Random(f"document {seed}")
    return _lookups(rng) if rng.random() < LOOKUP_SHARE else _programs(seed)


def _lookups(rng: Random) -> list[Piece]:
    pieces: list[Piece] = []
    while sum(len(piece.text) for piece in pieces) < LENGTH:
        draw = rng.choices(list(LOOKUPS), list(LOOKUPS.values()))[0]
        for line in draw(rng, int(rng.random() >= SMALL_SHARE)).split("\n"):
            given, mark, rest = line.partition("|")
            pieces += [Piece(given + "\n", False)] if not mark else [Piece(given, False), Piece(rest + "\n", True)]
    return [piece for piece in pieces if piece.text]


def _programs(seed: int) -> list[Piece]:
    for attempt in itertools.count():
        drawn = problem(seed * 1000 + attempt)
        if split_class(drawn.group) != EXAM_CLASS:
            return [Piece(drawn.statement + "\n", False), Piece("\n".join(drawn.programs) + "\n", True)]
    raise AssertionError("some group is not in the exam")


def _quotient(rng: Random, size: int) -> str:
    return steps.quotient(rng.randint(10, (49, 150)[size]), rng.randint(3, (9, 12)[size])).replace(":", ":|")


def _running_sum(rng: Random, size: int) -> str:
    start, difference, num_terms = operands.progression(rng, size)
    return f"n={num_terms},d={difference}\n" + steps.running_sum(start, difference, num_terms).replace(",", "|,", 1)


def _difference(rng: Random, size: int) -> str:
    b = rng.randint(1, (9, 40)[size])
    c = rng.randint(4, (50, 150)[size]) + b
    return f"{c}-{b}=|{c - b}"


def _product_modulo(rng: Random, size: int) -> str:
    modulus = rng.randint(5, (9, 13)[size])
    return steps.product_modulo(modulus, rng.randint(0, modulus - 1), rng.randint(2, min(9, modulus - 1))).replace("=", "=|", 1)


def _divisors(rng: Random, size: int) -> str:
    return steps.divisors(rng.randint(4, (40, 96)[size])).replace(":", ":|")


def _fraction(rng: Random, size: int) -> str:
    a, x = rng.randint(2, (9, 12)[size]), rng.randint(2, (12, 16)[size])
    return f"{a * x}/{a}=|{x}"


def _multiples_modulo(rng: Random, size: int) -> str:
    a, c, modulus = operands.congruence(rng, size)
    x = c * pow(a, -1, modulus) % modulus
    return f"%{modulus}:{a}\n" + f"1:{a}|" + steps.multiples_modulo(a, modulus, x).removeprefix(f"1:{a}")


def _common_divisors(rng: Random, size: int) -> str:
    a, b = operands.pair(rng, size)
    return f"{steps.divisors(a)}\n{steps.divisors(b)}\n" + steps.common_divisors(a, b).replace(":", ":|")


def _counted_divisors(rng: Random, size: int) -> str:
    n = rng.randint(4, (40, 96)[size])
    return f"Count {n}\n|{steps.counted_divisors(n)}"


def _committee(rng: Random, size: int) -> str:
    n, k, m = operands.committee(rng, size)
    ways = math.comb(n, k)
    return f"C({n},{k})=|{ways}\n{ways}*{m}=|{ways * m}"


LOOKUPS: dict[Callable[[Random, int], str], int] = {
    _quotient: 32,
    _running_sum: 12,
    _difference: 11,
    _product_modulo: 11,
    _divisors: 8,
    _fraction: 8,
    _multiples_modulo: 8,
    _common_divisors: 8,
    _counted_divisors: 6,
    _committee: 4,
}
"""Weights by how hard the table is to learn, and how many families need it."""
