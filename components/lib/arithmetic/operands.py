"""Which numbers a family is asked with, in two sizes: 0 (small) and 1 (large).

The ranges keep every intermediate number at or under 199. Does not know what is asked about the numbers.
"""

import math
from random import Random

LARGEST = 199


def division(rng: Random, size: int) -> tuple[int, ...]:
    """A dividend and a divisor."""
    low, high = ((10, 49), (50, 150))[size]
    return rng.randint(low, high), rng.randint(3, (9, 12)[size])


def pair(rng: Random, size: int, least: int = 1) -> tuple[int, ...]:
    """Two different numbers, multiples of a common factor of at least `least`."""
    while True:
        factor = rng.randint(least, (9, 12)[size])
        a, b = factor * rng.randint(1, 9), factor * rng.randint(2, 9)
        if a != b and min(a, b) >= 4 and max(a, b) <= (40, 96)[size]:
            return a, b


def pair_and_dividend(rng: Random, size: int) -> tuple[int, ...]:
    """A pair whose common factor is 3 or more, and a number to divide by it."""
    low, high = ((10, 49), (50, 150))[size]
    return (*pair(rng, size, least=3), rng.randint(low, high))


def whole(rng: Random, size: int) -> tuple[int, ...]:
    """One number, to count its divisors."""
    low, high = ((6, 40), (41, 96))[size]
    return (rng.randint(low, high),)


def congruence(rng: Random, size: int) -> tuple[int, ...]:
    """a, c, m with a invertible modulo m."""
    modulus = rng.choice(((5, 7, 8, 9), (11, 13))[size])
    a = rng.choice([a for a in range(2, modulus) if math.gcd(a, modulus) == 1])
    return a, rng.randint(1, modulus - 1), modulus


def power(rng: Random, size: int) -> tuple[int, ...]:
    """A one-digit base, an exponent, a modulus above the base."""
    modulus = rng.randint(5, (9, 13)[size])
    low, high = ((2, 4), (3, 6))[size]
    return rng.randint(2, min(9, modulus - 1)), rng.randint(low, high), modulus


def committee(rng: Random, size: int) -> tuple[int, ...]:
    """n, k, m with C(n, k) * m under 100 or 200."""
    low, high = ((2, 6), (7, 12))[size]
    while True:
        k = rng.randint(2, 3)
        n, m = rng.randint(k + 2, 9), rng.randint(low, high)
        if math.comb(n, k) * m < (100, 200)[size]:
            return n, k, m


def linear(rng: Random, size: int) -> tuple[int, ...]:
    """a, b and ax + b for a whole x."""
    while True:
        a, x, b = rng.randint(2, (9, 12)[size]), rng.randint(2, (12, 20)[size]), rng.randint(1, (9, 40)[size])
        if a * x <= (50, 150)[size]:
            return a, b, a * x + b


def progression(rng: Random, size: int) -> tuple[int, ...]:
    """First term, common difference, number of terms."""
    low, high = ((3, 4), (4, 5))[size]
    return rng.randint(1, (9, 15)[size]), rng.randint(1, (5, 9)[size]), rng.randint(low, high)
