"""What curate's duplicate rule finds, beside plain MinHash: share flagged per kind of planted variant, and speed, on the same statements.

    python -m benchmarks.deduplication --rows 5000

Statements are put together from openings, middles and questions, so that wording repeats with other numbers: harder than a forum. All
have the same answer here, so that the answers, which curate compares too, help nobody. The rule is that of components/curate with the
numbers of params.yaml; the others are datasketch at the same permutations and bands, Jaccard estimated at 0.5 or more. Writes nothing;
prints one table.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.curate.canonical import canonical
from components.curate.marks import Mark
from components.curate.near import Rule, exact, near
from components.curate.pool import Pool
from components.curate.stage import Curate

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
    """Each variant of the first `count` statements."""
    chance = random.Random(seed)
    return {kind: [vary(draft, chance) for draft in base[:count]] for kind, vary in VARIANTS.items()}


def marks(prefix: str, statements: Iterable[str]) -> list[Mark]:
    """Statements as curate compares them; sorted by id, those of prefix "a" come before those of prefix "b"."""
    return [Mark(f"{prefix}{number:07}", "files", prefix, 0, canonical(text)) for number, text in enumerate(statements)]


def flagged(base: Sequence[Mark], variants: Sequence[Mark], rule: Rule) -> float:
    """The share of variants that the rule drops beside a base of kept statements."""
    return sum(row >= len(base) for row in repeats([*base, *variants], rule)) / len(variants)


def repeats(given: Sequence[Mark], rule: Rule) -> set[int]:
    """The places of those that the rule drops."""
    with Pool(Path(tempfile.gettempdir())) as pool:
        for mark in given:
            pool.add(0, mark.id, mark.answer, mark.form)
        alive = np.ones(len(pool), dtype=bool)
        gone = dict(exact(pool, alive))
        alive[list(gone)] = False
        return {*gone, *dict(near(pool, alive, rule))}


class Plain:
    """datasketch alone: near is what an LSH bucket holds with an estimated Jaccard of 0.5 or more."""

    def __init__(self, rule: Rule, words: int) -> None:
        from datasketch import MinHashLSH

        self._rule, self._words = rule, words
        self._lsh: Any = MinHashLSH(num_perm=rule.num_perm, params=(rule.bands, rule.num_perm // rule.bands))
        self._held: dict[str, Any] = {}

    def add(self, mark: Mark) -> None:
        self._held[mark.id] = self._hashed(mark)
        self._lsh.insert(mark.id, self._held[mark.id], check_duplication=False)

    def finds(self, mark: Mark) -> bool:
        hashed = self._hashed(mark)
        return any(self._held[key].jaccard(hashed) >= 0.5 for key in self._lsh.query(hashed))

    def _hashed(self, mark: Mark) -> Any:
        from datasketch import MinHash

        words = mark.form.split()
        hashed = MinHash(num_perm=self._rule.num_perm, seed=self._rule.seed)
        hashed.update_batch([" ".join(words[at : at + self._words]).encode() for at in range(max(1, len(words) - self._words + 1))])
        return hashed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--planted", type=int, default=300, help="of each variant")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    config = Curate.load()
    base = drafts(given.rows, given.seed)
    held = marks("a", (draft.text() for draft in base))
    variants = {kind: marks("b", texts) for kind, texts in planted(base, min(given.planted, given.rows), given.seed).items()}
    rule = config.rule(config.duplicate_jaccard)

    columns: dict[str, list[str]] = {"": [*VARIANTS, "rows per CPU-second"]}
    for name, words in (("datasketch, 5 words", 5), ("datasketch, 2 words", 2)):
        plain = Plain(rule, words)
        rate = _rate(lambda plain=plain: [plain.add(mark) for mark in held], len(held))  # type: ignore[misc]
        columns[name] = [f"{sum(map(plain.finds, found)) / len(found):.2f}" for found in variants.values()] + [rate]
    rate = _rate(lambda: repeats(held, rule), len(held))
    columns["curate"] = [f"{flagged(held, found, rule):.2f}" for found in variants.values()] + [rate]
    print(f"share flagged of {given.planted} planted variants each, beside {given.rows} statements")
    for line in zip(*([name, *cells] for name, cells in columns.items()), strict=True):
        print(f"{line[0]:24}" + "".join(f"{cell:>22}" for cell in line[1:]))


def _rate(work: Callable[[], object], num_rows: int) -> str:
    started = time.process_time()
    work()
    return f"{num_rows / (time.process_time() - started):,.0f}"


if __name__ == "__main__":
    main()
