"""The steps that a worked solution is made of, a line each, one lookup each.

A small model learns a table of two numbers, not an algorithm: so each line holds all its inputs and only one thing to look up.
Families put these lines together; the documents of the base model train them one by one.
"""

from collections.abc import Iterable


def quotient(a: int, b: int) -> str:
    """`39/9:36+3`: the largest multiple and the rest."""
    return f"{a}/{b}:{a - a % b}+{a % b}"


def divisors_of(n: int) -> list[int]:
    """All positive divisors, smallest first."""
    return [d for d in range(1, n + 1) if n % d == 0]


def divisors(n: int) -> str:
    """`8:1,2,4,8`"""
    return f"{n}:{_listed(divisors_of(n))}"


def common_divisors(a: int, b: int) -> str:
    """`both:1,2`"""
    return f"both:{_listed(d for d in divisors_of(a) if b % d == 0)}"


def counted_divisors(n: int) -> str:
    """`1:1,2:5,3:7,4:35`: each divisor with its place, so that the last place is the count."""
    return _listed(f"{place}:{d}" for place, d in enumerate(divisors_of(n), 1))


def product_modulo(modulus: int, x: int, y: int) -> str:
    """`%8:5*5=25=1`: the modulus stands in every line."""
    return f"%{modulus}:{x}*{y}={x * y}={x * y % modulus}"


def multiples_modulo(a: int, modulus: int, x: int) -> str:
    """`1:3,2:6`: the residues of a, 2a, ... up to xa."""
    return _listed(f"{i}:{a * i % modulus}" for i in range(1, x + 1))


def running_sum(start: int, difference: int, num_terms: int) -> str:
    """`1:8=8,2:12=20,3:16=36`: place, term, sum so far."""
    total, parts = 0, []
    for i in range(num_terms):
        total += start + difference * i
        parts.append(f"{i + 1}:{start + difference * i}={total}")
    return _listed(parts)


def _listed(parts: Iterable[object]) -> str:
    return ",".join(map(str, parts))
