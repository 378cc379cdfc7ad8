"""The ten families of problems. One decorated function is a family: it solves what its wordings ask.

A problem is drawn in four steps, all from one seed: the family, the size, the numbers, the wording. Problems with the same numbers are
one group whatever their wording, and `split_class` puts whole groups on one side of a split.
"""

import math
import zlib
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from components.lib.arithmetic import operands, steps

LARGE_SHARE = 0.35


class Solution(NamedTuple):
    """What solving gives: the answer, the lines of a written working, and the code cells and plan of a solution by program."""

    answer: int
    working: tuple[str, ...]
    programs: tuple[str, ...]
    plan: str


class Family(NamedTuple):
    """How its numbers are drawn, asked about (`{0}`, `{1}` stand for the numbers) and solved."""

    draw: Callable[[Random, int], tuple[int, ...]]
    wordings: tuple[str, ...]
    solve: Callable[..., Solution]
    """Raises ValueError for numbers that leave no whole answer."""
    weight: float
    symmetric: bool
    """Whether the first two numbers may be swapped without asking anything new."""


class GeneratedProblem(NamedTuple):
    """A problem with its solution."""

    family: str
    size: int
    numbers: tuple[int, ...]
    statement: str
    answer: int
    working: tuple[str, ...]
    programs: tuple[str, ...]
    plan: str

    @property
    def group(self) -> str:
        """`gcd(8, 14)`: the same for all wordings of the same question."""
        numbers = self.numbers
        if FAMILIES[self.family].symmetric:
            numbers = (*sorted(numbers[:2]), *numbers[2:])
        return f"{self.family}({', '.join(map(str, numbers))})"


FAMILIES: dict[str, Family] = {}


def problem(seed: int, family: str | None = None) -> GeneratedProblem:
    """The problem of a seed; of the named family if one is named."""
    rng = Random(f"problem {seed}")
    names = list(FAMILIES)
    name = family or rng.choices(names, [FAMILIES[n].weight for n in names])[0]
    size = int(rng.random() < LARGE_SHARE)
    kind = FAMILIES[name]
    while True:
        numbers = kind.draw(rng, size)
        statement = rng.choice(kind.wordings).format(*numbers)
        solution = kind.solve(*numbers)
        if 0 <= solution.answer <= operands.LARGEST:
            return GeneratedProblem(name, size, numbers, statement, *solution)


def split_class(group: str) -> int:
    """Which of eight classes a group belongs to, for good: the hash knows neither wording nor seed."""
    return zlib.crc32(group.encode()) % 8


def _family(
    draw: Callable[[Random, int], tuple[int, ...]], *wordings: str, weight: float = 1.0, symmetric: bool = False
) -> Callable[[Callable[..., Solution]], Callable[..., Solution]]:
    def register(solve: Callable[..., Solution]) -> Callable[..., Solution]:
        FAMILIES[solve.__name__] = Family(draw, wordings, solve, weight, symmetric)
        return solve

    return register


@_family(
    operands.division,
    "Find the remainder when {0} is divided by {1}.",
    "What remainder does {0} leave on division by {1}?",
    "{0} apples are shared equally among {1} children. How many apples are left over?",
)
def remainder(a: int, b: int) -> Solution:
    return Solution(a % b, (steps.quotient(a, b),), (f"print({a} % {b})",), "Take the remainder.")


@_family(
    operands.division,
    "How many integers from 1 to {0} are multiples of {1}?",
    "How many positive integers up to {0} are divisible by {1}?",
)
def multiples(n: int, k: int) -> Solution:
    working = (steps.quotient(n, k), f"{n - n % k}/{k}={n // k}")
    return Solution(n // k, working, (f"print({n} // {k})",), "Count the multiples.")


@_family(
    operands.pair,
    "What is the greatest common divisor of {0} and {1}?",
    "Find the largest integer that divides both {0} and {1}.",
    "Compute gcd({0}, {1}).",
    symmetric=True,
)
def gcd(a: int, b: int) -> Solution:
    return Solution(math.gcd(a, b), _common(a, b), (f"import math\nprint(math.gcd({a}, {b}))",), "Take the gcd.")


@_family(
    operands.whole,
    "How many positive divisors does {0} have?",
    "Count the positive integers that divide {0}.",
    weight=0.6,
)
def divisors(n: int) -> Solution:
    working = (f"Count {n}", steps.counted_divisors(n))
    return Solution(len(steps.divisors_of(n)), working, (f"print(sum({n} % i == 0 for i in range(1, {n} + 1)))",), "Count the divisors.")


@_family(
    operands.congruence,
    "Find the smallest positive integer x such that {0}x leaves remainder {1} when divided by {2}.",
    "What is the least positive integer x with {0}x = {1} modulo {2}?",
)
def congruence(a: int, c: int, modulus: int) -> Solution:
    x = next((x for x in range(1, modulus) if a * x % modulus == c), None)
    if x is None:
        raise ValueError(f"{a}x = {c} modulo {modulus} has no solution")
    program = f"x = 1\nwhile {a} * x % {modulus} != {c}:\n    x += 1\nprint(x)"
    return Solution(x, (f"%{modulus}:{a}", steps.multiples_modulo(a, modulus, x)), (program,), "Search for x.")


@_family(
    operands.power,
    "Find the remainder when {0}^{1} is divided by {2}.",
    "What is {0} to the power {1} modulo {2}?",
)
def power(a: int, n: int, modulus: int) -> Solution:
    working, residue = [], a % modulus
    for _ in range(n - 1):
        working.append(steps.product_modulo(modulus, residue, a))
        residue = residue * a % modulus
    return Solution(residue, tuple(working), (f"print(pow({a}, {n}, {modulus}))",), "Take the power.")


@_family(
    operands.committee,
    "A team has {1} of {0} boys and one of {2} girls. How many teams are possible?",
    "In how many ways can one choose {1} of {0} red cards and one of {2} blue cards?",
    weight=0.8,
)
def committee(n: int, k: int, m: int) -> Solution:
    ways = math.comb(n, k)
    program = f"import math\nprint(math.comb({n}, {k}) * {m})"
    return Solution(ways * m, (f"C({n},{k})={ways}", f"{ways}*{m}={ways * m}"), (program,), "Choose, then multiply.")


@_family(
    operands.linear,
    "If {0}x + {1} = {2}, what is x?",
    "Solve {0}x + {1} = {2} for x.",
    "{0} times a number plus {1} is {2}. Find the number.",
)
def linear(a: int, b: int, c: int) -> Solution:
    x, rest = divmod(c - b, a)
    if rest:
        raise ValueError(f"{a}x + {b} = {c} has no whole solution")
    return Solution(x, (f"{c}-{b}={c - b}", f"{c - b}/{a}={x}"), (f"print(({c} - {b}) // {a})",), "Solve for x.")


@_family(
    operands.progression,
    "An arithmetic sequence starts with {0} and has common difference {1}. Find the sum of its first {2} terms.",
    "Start with {0} and keep adding {1}. What is the sum of the first {2} numbers?",
)
def progression(start: int, difference: int, num_terms: int) -> Solution:
    total = sum(start + difference * i for i in range(num_terms))
    working = (f"n={num_terms},d={difference}", steps.running_sum(start, difference, num_terms))
    return Solution(total, working, (f"print(sum({start} + {difference} * i for i in range({num_terms})))",), "Add the terms.")


@_family(
    operands.pair_and_dividend,
    "Let d be the greatest common divisor of {0} and {1}. Find the remainder when {2} is divided by d.",
    symmetric=True,
)
def gcd_remainder(a: int, b: int, n: int) -> Solution:
    """Two cells: the second one needs what the first one printed."""
    d = math.gcd(a, b)
    programs = (f"import math\nprint(math.gcd({a}, {b}))", f"print({n} % {d})")
    return Solution(n % d, (*_common(a, b), steps.quotient(n, d)), programs, "First find d.")


def _common(a: int, b: int) -> tuple[str, ...]:
    return steps.divisors(a), steps.divisors(b), steps.common_divisors(a, b)
