"""Problem statements put together from openings, middles and questions, and variants of them: what the benchmarks of cleaning clean.

Wording repeats with other numbers, by the hundred: harder than a forum. A variant says the same in other words (to be found) or asks
something else in the same words (to be kept). Reads nothing, writes nothing.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

NAMES = ("Alice", "Bruno", "Chen", "Dalia", "Emil", "Farah", "Goran", "Hana")
OPENINGS = (
    (
        "{n} has a bag with {a} red and {b} blue marbles.",
        "In a bag that belongs to {n} there are {a} marbles of red colour and {b} of blue colour.",
    ),
    (
        "A train leaves the station with {a} passengers, and {b} more get on at the next stop.",
        "{a} people ride a train when it departs; {b} further people board it at the following stop.",
    ),
    (
        "Let $x$ and $y$ be positive integers with $x + y = {a}$ and $xy = {b}$.",
        "Suppose that the positive integers $x$, $y$ have sum ${a}$ and product ${b}$, that is $x + y = {a}$, $xy = {b}$.",
    ),
    ("In triangle $ABC$ we have $AB = {a}$ and $BC = {b}$.", "Triangle $ABC$ has the side lengths $AB = {a}$, $BC = {b}$."),
    ("{n} writes the integers from {a} to {b} on a blackboard.", "On a blackboard, all integers from {a} up to {b} are written by {n}."),
    (
        "A rectangular garden is {a} metres long and {b} metres wide.",
        "The length of a rectangular garden is {a} metres and its width is {b} metres.",
    ),
    (
        "The sequence $a_n$ starts with $a_0 = {a}$ and satisfies $a_n = a_{{n-1}} + {b}$.",
        "A sequence has first term $a_0 = {a}$, and $a_n = a_{{n-1}} + {b}$ holds for all later terms.",
    ),
    ("{n} rolls a fair die {a} times and adds {b} to the total.", "A fair die is rolled {a} times by {n}, who then adds {b} to the total."),
)
MIDDLES = (
    ("Every {c} minutes, {d} of them are taken away and never put back.", "Of them, {d} are removed for good after every {c} minutes."),
    (
        "After that, the result is multiplied by {c} and then decreased by {d}.",
        "The result is then taken {c} times, and {d} is subtracted from it.",
    ),
    (
        "A second person repeats this with $k = {c}$ and keeps at most {d} of the results.",
        "The same is done by a second person with $k = {c}$, who keeps no more than {d} of the results.",
    ),
    ("It is known that the remainder modulo {c} equals {d}.", "We know that it leaves the remainder {d} modulo {c}, or $r = {d}$."),
    ("There are {c} ways to choose a colour for each of the {d} corners.", "Each of the {d} corners can be given a colour in {c} ways."),
    (
        "Point $P$ divides the longest segment in the ratio ${c}:{d}$.",
        "The longest segment is divided by the point $P$ in the ratio ${c}:{d}$.",
    ),
)
QUESTIONS = (
    ("What is the smallest possible value that can remain at the end?", "Determine the least value that can possibly remain at the end."),
    ("How many different outcomes are there?", "Find the number of different outcomes."),
    ("Find the sum of all prime factors of the final number.", "What do all the prime factors of the final number add up to in sum?"),
    ("Compute the probability $m/n$ in lowest terms and give $m+n$.", "The probability is $m/n$ in lowest terms; what is $m+n$?"),
    ("Determine the area of the largest square inside it.", "What is the area of the largest square that fits inside it?"),
    ("In how many steps does the process stop?", "How many steps does it take until the process stops?"),
)  # fmt: skip
SYNONYMS = {
    **{"has": "owns", "Let": "Suppose that", "Find": "Compute", "Compute": "Find", "Determine": "Find"},
    **{"different": "distinct", "more": "further", "smallest": "least", "starts": "begins", "writes": "puts", "multiplied": "scaled"},
}
FRAMES = (
    "AIME 2021 Problem {k}. {s}",
    "Solve the following math problem: {s} Put your final answer in \\boxed{{}}.",
    "{s} The answer is an integer between 0 and 999.",
)


class Draft(NamedTuple):
    """What a statement is made of; variants change one part of it."""

    parts: tuple[int, int, int]
    numbers: tuple[int, int, int, int]
    name: str

    def text(self, reworded: bool = False) -> str:
        wording, (a, b, c, d) = int(reworded), self.numbers
        return "\n".join(
            part[index][wording].format(n=self.name, a=a, b=b, c=c, d=d)
            for part, index in zip((OPENINGS, MIDDLES, QUESTIONS), self.parts, strict=True)
        )


def drafts(count: int, seed: int) -> list[Draft]:
    """`count` statements that no two share both parts and numbers."""
    chance = random.Random(seed)
    seen: dict[object, Draft] = {}
    while len(seen) < count:
        parts = (chance.randrange(len(OPENINGS)), chance.randrange(len(MIDDLES)), chance.randrange(len(QUESTIONS)))
        draft = Draft(parts, tuple(chance.randint(2, 400) for _ in range(4)), chance.choice(NAMES))  # type: ignore[arg-type]
        seen.setdefault((draft.parts, draft.numbers), draft)
    return list(seen.values())


def _format(draft: Draft, _: random.Random) -> str:
    return draft.text().replace("$", " $").replace(" = ", "\\, =\\;").replace("\n", "\r\n\r\n\u00a0")


def _light(draft: Draft, _: random.Random) -> str:
    return "\n".join(" ".join(SYNONYMS.get(word, word) for word in line.split(" ")) for line in draft.text().split("\n"))


def _renamed(draft: Draft, _: random.Random) -> str:
    table = str.maketrans("xykrmnPABC", "uvtqpsTDEF")
    pieces = draft.text().split("$")
    return "$".join(piece.translate(table) if place % 2 else piece for place, piece in enumerate(pieces))


def _names(draft: Draft, chance: random.Random) -> str:
    return draft._replace(name=chance.choice([name for name in NAMES if name != draft.name])).text()


def _wrapped(draft: Draft, chance: random.Random) -> str:
    return chance.choice(FRAMES).format(k=chance.randint(1, 15), s=draft.text())


def _reordered(draft: Draft, _: random.Random) -> str:
    opening, middle, question = _light(draft, _).split("\n")
    return f"{question.replace('?', '')}, given the following. {opening} {middle}"


def _rewritten(draft: Draft, _: random.Random) -> str:
    return draft.text(reworded=True)


def _one_number(draft: Draft, chance: random.Random) -> str:
    changed = list(draft.numbers)
    changed[chance.randrange(4)] += 1000
    return draft._replace(numbers=tuple(changed)).text()  # type: ignore[arg-type]


def _all_numbers(draft: Draft, _: random.Random) -> str:
    return draft._replace(numbers=tuple(number + 1000 for number in draft.numbers)).text()  # type: ignore[arg-type]


def _other_question(draft: Draft, chance: random.Random) -> str:
    opening, middle, question = draft.parts
    return draft._replace(parts=(opening, middle, (question + chance.randrange(1, len(QUESTIONS))) % len(QUESTIONS))).text()


VARIANTS: dict[str, Callable[[Draft, random.Random], str]] = {
    "format": _format,
    "light paraphrase": _light,
    "renamed variables": _renamed,
    "names": _names,
    "wrapped": _wrapped,
    "paraphrase, reordered": _reordered,
    "rewritten": _rewritten,
    "one number changed": _one_number,
    "all numbers changed": _all_numbers,
    "other question": _other_question,
}
REWORDINGS = tuple(VARIANTS)[:6]
"""Those that share most words with the original: what the rule is to find. A rewritten statement shares too few."""


def planted(base: Sequence[Draft], count: int, seed: int) -> dict[str, list[str]]:
    """Each variant of `count` statements, the first of them for the first variant and so on, so that no statement has two."""
    chance = random.Random(seed)
    return {
        kind: [vary(draft, chance) for draft in base[at * count : (at + 1) * count]] for at, (kind, vary) in enumerate(VARIANTS.items())
    }
