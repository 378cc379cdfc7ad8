"""A solution that goes wrong the way small models do: one number of the statement is misread, all else is done right.

Of the wrong practice candidates of such a model, two thirds hold a number in their program that is not in the statement.
"""

from random import Random

from components.lib.arithmetic.families import FAMILIES, GeneratedProblem, Solution
from components.lib.arithmetic.operands import LARGEST

REACH = 12


def misread(drawn: GeneratedProblem, rng: Random) -> GeneratedProblem:
    """The same statement with the solution of slightly other numbers, whose answer differs."""
    places = list(range(len(drawn.numbers)))
    rng.shuffle(places)
    for place in places:
        steps = [step for step in range(-REACH, REACH + 1) if step]
        rng.shuffle(steps)
        for step in steps:
            solution = _solved(drawn, place, drawn.numbers[place] + step)
            if solution and solution.answer != drawn.answer:
                return drawn._replace(**solution._asdict())
    raise AssertionError(f"no misreading changes the answer of {drawn.group}")


def _solved(drawn: GeneratedProblem, place: int, number: int) -> Solution | None:
    """The solution with one number replaced, or None where it leaves the range of all numbers or has none."""
    if not 2 <= number <= LARGEST:
        return None
    numbers = (*drawn.numbers[:place], number, *drawn.numbers[place + 1 :])
    try:
        solution = FAMILIES[drawn.family].solve(*numbers)
    except ValueError:
        return None
    return solution if 0 <= solution.answer <= LARGEST else None
