"""Which rows say the same: exact duplicates, conflicts, and near duplicates.

A near duplicate is said in similar words, sentence by sentence, and holds the same numbers and answer. No similarity score tells "one
number changed" from "reworded" (both score 0.9 and more), so numbers are compared as numbers: rows are first put into blocks by their
numbers and answer, and only inside a block are wordings compared, by MinHash (Broder 1997) in bands. That decides precision, and it is
fast: generated families repeat their wording by the thousand, seldom their numbers. Not covered: statements that share less than half of
their word pairs; one problem under two answers in two wordings (of 51 such pairs in the MATH test set 49 are two problems: "largest" for
"smallest", 6x = 5 for 5x = 6 modulo 7).
"""

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from components.curate.canonical import wording
from components.curate.marks import Fate
from components.curate.pool import Member, Pool

M = TypeVar("M")


class Rule(NamedTuple):
    """When two wordings are near."""

    jaccard: float
    """Of the sets of word pairs, numbers and variables masked."""
    sentence_jaccard: float
    """Of the words of each sentence and its best match, see `sentences_match`."""
    num_perm: int
    bands: int
    seed: int


def exact(pool: Pool, alive: Any) -> Iterator[tuple[int, Fate]]:
    """Rows whose canonical form another row has: the smallest id stays; where their answers differ, none does."""
    for rows in pool.same_form(alive):
        same = pool.members(rows)
        if len({member.answer for member in same}) > 1:
            for member in same:
                rival = next(other for other in same if other.answer != member.answer)
                yield member.row, Fate("conflict", f"the same statement, answers {member.answer} and {rival.answer}", rival.id)
        else:
            for member in same[1:]:
                yield member.row, Fate("duplicate", "exact", same[0].id)


def near(pool: Pool, alive: Any, rule: Rule) -> Iterator[tuple[int, Fate]]:
    """Rows that reword another row of the pool; of each cluster the smallest id stays."""
    for rows in pool.same_numbers(alive):
        yield from _near_in_block(pool.members(rows), rule)


def _near_in_block(block: Sequence[Member], rule: Rule) -> Iterator[tuple[int, Fate]]:
    kept = Wordings[Member](rule)
    for member in block:
        here = Wording.of(member.form, rule)
        for other, there in kept.candidates(here):
            score = jaccard(here.pairs, there.pairs)
            if score >= rule.jaccard and sentences_match(member.form, other.form, rule.sentence_jaccard):
                yield member.row, Fate("duplicate", f"near: Jaccard {score:.2f}, the same numbers and answer", other.id)
                break
        else:
            kept.add(member, here)


class Wording(NamedTuple):
    """How a statement is said: its word pairs with numbers and variables masked, and their MinHash signature cut into bands."""

    pairs: frozenset[str]
    bands: tuple[bytes, ...]

    @classmethod
    def of(cls, form: str, rule: Rule) -> "Wording":
        from rensa import RMinHash

        words = wording(form)
        pairs = frozenset(map(" ".join, pairwise(words))) or frozenset(words)
        hashed = RMinHash(num_perm=rule.num_perm, seed=rule.seed)
        hashed.update(list(pairs))
        signature = array("I", hashed.digest()).tobytes()
        width = len(signature) // rule.bands
        return cls(pairs, tuple(signature[start : start + width] for start in range(0, width * rule.bands, width)))


class Wordings(Generic[M]):
    """What is said, found by wording: candidates agree in all rows of at least one band (P = 1 - (1 - J^4)^32 for 32 bands of 4)."""

    def __init__(self, rule: Rule) -> None:
        self._held: list[tuple[M, Wording]] = []
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(rule.bands)]

    def add(self, what: M, said: Wording) -> None:
        for band, key in zip(self._bands, said.bands, strict=True):
            band[key].append(len(self._held))
        self._held.append((what, said))

    def candidates(self, said: Wording) -> Iterable[tuple[M, Wording]]:
        """In the order in which they were added."""
        return (self._held[place] for place in sorted(self._shared(said)))

    def likeliest(self, said: Wording, most: int) -> Iterable[tuple[M, Wording]]:
        """At most so many, those with the most bands in common first, of equals the first: families repeat their wording by the hundred."""
        shared = self._shared(said)
        return (self._held[place] for place in heapq.nsmallest(most, shared, key=lambda place: (-shared[place], place)))

    def _shared(self, said: Wording) -> Counter[int]:
        """How many bands each has in common, by place."""
        found = Counter[int]()
        for band, key in zip(self._bands, said.bands, strict=True):
            found.update(band.get(key, ()))
        return found


def jaccard(here: frozenset[str], there: frozenset[str]) -> float:
    """Shared part of two sets, 0 to 1."""
    shared = len(here & there)
    return shared / ((len(here) + len(there) - shared) or 1)


def sentences_match(here: str, there: str, least: float) -> bool:
    """Whether each sentence of the form with fewer sentences has a match in the other whose words' Jaccard is at least `least`.

    It tells two questions about one story apart: their long common part alone would make them near.
    """
    few, many = sorted(([frozenset(line.split()) for line in form.split("\n")] for form in (here, there)), key=len)
    return all(any(jaccard(one, other) >= least for other in many) for one in few)
