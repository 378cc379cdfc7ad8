"""Which rows say the same: exact duplicates, conflicts, and near duplicates.

A near duplicate is worded alike, sentence by sentence, and holds the same numbers and answer. No similarity score tells "one
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

from components.curate.canonical import mask_numbers_and_variables
from components.curate.funnel import DropReason
from components.curate.problem_table import ProblemTable, TableRow

M = TypeVar("M")


class MinHashConfig(NamedTuple):
    """When two wordings are near."""

    jaccard: float
    """Of the sets of word pairs, numbers and variables masked."""
    sentence_jaccard: float
    """Of the words of each sentence and its best match, see `sentences_match`."""
    num_perm: int
    num_bands: int
    seed: int


def exact_duplicates(table: ProblemTable, alive: Any) -> Iterator[tuple[int, DropReason]]:
    """Rows whose canonical form another row has: the smallest id stays, of those with an answer if any has; where answers differ, none."""
    for rows in table.same_form(alive):
        same = sorted(table.table_rows(rows), key=lambda member: member.answer is None)
        known = [member for member in same if member.answer is not None]
        if len({member.answer for member in known}) > 1:
            for member in same:
                rival = next(other for other in known if other.answer != member.answer)
                yield member.row, DropReason("conflict", f"the same statement, answers {member.answer} and {rival.answer}", rival.id)
        else:
            for member in same[1:]:
                yield member.row, DropReason("duplicate", "exact", same[0].id)


def near_duplicates(table: ProblemTable, alive: Any, minhash: MinHashConfig) -> Iterator[tuple[int, DropReason]]:
    """Rows that reword another row of the table; of each cluster the smallest id stays."""
    for rows in table.same_numbers(alive):
        yield from _near_in_block(table.table_rows(rows), minhash)


def _near_in_block(block: Sequence[TableRow], minhash: MinHashConfig) -> Iterator[tuple[int, DropReason]]:
    kept = LshIndex[TableRow](minhash)
    for member in block:
        here = Signature.of(member.form, minhash)
        for other, there in kept.candidates(here):
            score = jaccard(here.shingles, there.shingles)
            if score >= minhash.jaccard and sentences_match(member.form, other.form, minhash.sentence_jaccard):
                yield member.row, DropReason("duplicate", f"near: Jaccard {score:.2f}, the same numbers and answer", other.id)
                break
        else:
            kept.add(member, here)


class Signature(NamedTuple):
    """How a statement is worded: its word pairs with numbers and variables masked, and their MinHash signature cut into bands."""

    shingles: frozenset[str]
    bands: tuple[bytes, ...]

    @classmethod
    def of(cls, form: str, minhash: MinHashConfig) -> "Signature":
        from rensa import RMinHash

        words = mask_numbers_and_variables(form)
        shingles = frozenset(map(" ".join, pairwise(words))) or frozenset(words)
        hashed = RMinHash(num_perm=minhash.num_perm, seed=minhash.seed)
        hashed.update(list(shingles))
        digest = array("I", hashed.digest()).tobytes()
        width = len(digest) // minhash.num_bands
        return cls(shingles, tuple(digest[start : start + width] for start in range(0, width * minhash.num_bands, width)))


class LshIndex(Generic[M]):
    """Rows found by wording (MinHash LSH): candidates agree in all rows of at least one band (P = 1 - (1 - J^4)^32 for 32 bands of 4)."""

    def __init__(self, minhash: MinHashConfig) -> None:
        self._held: list[tuple[M, Signature]] = []
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(minhash.num_bands)]

    def add(self, what: M, signature: Signature) -> None:
        for band, key in zip(self._bands, signature.bands, strict=True):
            band[key].append(len(self._held))
        self._held.append((what, signature))

    def candidates(self, signature: Signature) -> Iterable[tuple[M, Signature]]:
        """In the order in which they were added."""
        return (self._held[place] for place in sorted(self._shared(signature)))

    def most_similar(self, signature: Signature, most: int) -> Iterable[tuple[M, Signature]]:
        """At most so many, those with the most bands in common first, of equals the first: families repeat their wording by the hundred."""
        shared = self._shared(signature)
        return (self._held[place] for place in heapq.nsmallest(most, shared, key=lambda place: (-shared[place], place)))

    def _shared(self, signature: Signature) -> Counter[int]:
        """How many bands each has in common, by place."""
        found = Counter[int]()
        for band, key in zip(self._bands, signature.bands, strict=True):
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
