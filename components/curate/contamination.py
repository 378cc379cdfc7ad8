"""Which rows ask what a benchmark asks, and which only resemble one of its problems.

A benchmark is any set that the project can run as an exam. Contaminated is what shares a problem's group, its canonical form, its
numbers and most of its wording, or holds it inside a longer text; sentences and answers are not compared here, for a lost training row
costs little and a leaked exam problem costs the result. Suspect is what shares the wording with other numbers: a sibling of a generated
family, or a problem with a changed constant. Benchmarks are small, and are held whole.

Not covered: a problem retold in other words. Of the ten pairs of NeMo-Skills' contamination example eight are found. A model can be asked
about suspects and about the nearest problems (llm_decontamination.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from sys import intern
from typing import NamedTuple

from components.curate.canonical import mask_variables, numbers
from components.curate.near_duplicates import LshIndex, MinHashConfig, Signature, jaccard


class CanonicalProblem(NamedTuple):
    """A row as it is compared."""

    id: str
    source: str
    """The set that it came from; of an exam's or a benchmark's row, the benchmark."""
    group: str
    answer: int | None
    form: str
    """The canonical form of its statement."""


NEAREST = 8
"""Candidates for the nearest wording, those that share the most bands."""
MIN_WORDS = 3
"""A short problem of so many words, a number among them, is looked for word for word."""
GOES_ON = frozenset("+-*/^=<>!|%(")
"""What follows a formula that is the beginning of a longer one: 3 + 4 is not asked where 3 + 4 * 5 is."""
MAX_PROBLEMS_PER_NGRAM = 8
"""An n-gram in more problems than this is a turn of phrase."""


class NgramOverlap(NamedTuple):
    """When a row holds a benchmark's problem inside a longer text."""

    size: int
    """A problem is cut into n-grams of so many words, and is found where the row has them; one too short for two is found as a whole."""
    min_share: float
    """Of those n-grams; and all of its numbers, as often as it has them."""


class Match(NamedTuple):
    """A problem of a benchmark that a row gives away, or resembles."""

    benchmark: str
    how: str
    problem: str


class Overlap(NamedTuple):
    """What a row has in common with the benchmarks."""

    matches: tuple[Match, ...]
    """At most one of each benchmark, in the order in which the index took them in."""
    suspect: Match | None


class BenchmarkIndex:
    """All problems of all benchmarks, found by what a row may share with them; of equals the first."""

    def __init__(self, asked: Iterable[CanonicalProblem], minhash: MinHashConfig, ngram_overlap: NgramOverlap) -> None:
        self._minhash, self._ngram_overlap = minhash, ngram_overlap
        self._forms: dict[str, list[CanonicalProblem]] = defaultdict(list)
        self._groups: dict[str, list[CanonicalProblem]] = defaultdict(list)
        self._numbers: dict[tuple[str, ...], list[tuple[CanonicalProblem, Signature]]] = defaultdict(list)
        self._ngrams: dict[str, list[int]] = defaultdict(list)
        self._ends: set[tuple[str, str]] = set()
        """First and last words of all n-grams: most of a row's need not be put together."""
        self._quotable: list[tuple[CanonicalProblem, int, Counter[str]]] = []
        self._short: dict[tuple[str, ...], list[tuple[CanonicalProblem, list[str]]]] = defaultdict(list)
        """Problems without two n-grams of their own, by their first words."""
        self._wordings = LshIndex[CanonicalProblem](minhash)
        self._benchmarks: dict[str, int] = {}
        worded, ngrams = set[tuple[str, frozenset[str]]](), dict[CanonicalProblem, set[str]]()
        for entry in asked:
            self._benchmarks.setdefault(entry.source, len(self._benchmarks))
            signature = Signature.of(entry.form, minhash)
            self._forms[entry.form].append(entry)
            self._groups[entry.group].append(entry)
            self._numbers[numbers(entry.form)].append((entry, signature))
            if (entry.source, signature.shingles) not in worded:  # families repeat their wording: the first one stands for all
                worded.add((entry.source, signature.shingles))
                self._wordings.add(entry, signature)
            ngrams[entry] = _split_into_ngrams(mask_variables(entry.form), ngram_overlap.size)
        self._add_ngrams(ngrams)

    def overlap(self, form: str, group: str) -> Overlap:
        """What a row of this form and group has in common with the benchmarks."""
        signature = Signature.of(form, self._minhash)
        found: dict[str, Match] = {}
        for entry, how in self._shared(form, group, signature):
            found.setdefault(entry.source, Match(intern(entry.source), intern(how), entry.id))
        matches = tuple(found[name] for name in sorted(found, key=self._benchmarks.__getitem__))
        score, nearest = _nearest(
            signature, [pair for pair in self._wordings.most_similar(signature, NEAREST) if pair[0].source not in found]
        )
        if nearest is None or score < self._minhash.jaccard:
            return Overlap(matches, None)
        return Overlap(matches, Match(intern(nearest.source), intern(f"Jaccard {score:.2f}, other numbers"), nearest.id))

    def _shared(self, form: str, group: str, signature: Signature) -> Iterator[tuple[CanonicalProblem, str]]:
        """Problems that a row gives away, the surest sign first."""
        for entry in self._forms.get(form, ()):
            yield entry, "exact"
        for entry in self._groups.get(group, ()):
            yield entry, "group"
        here = numbers(form)
        scored = [
            (jaccard(signature.shingles, other.shingles), entry)
            for entry, other in self._numbers.get(here, ())
            if self._comparable(signature, other)
        ]
        for score, entry in sorted(scored, key=lambda pair: -pair[0]):
            if score >= self._minhash.jaccard:
                yield entry, f"near: Jaccard {score:.2f}, the same numbers"
        for entry in (*self._quoted(form), *self._contained(form)):
            yield entry, "quoted inside a longer text"

    def _comparable(self, here: Signature, there: Signature) -> bool:
        """Whether the sizes of two sets let their Jaccard be high enough: it is at most their ratio."""
        few, many = sorted((len(here.shingles), len(there.shingles)))
        return few >= self._minhash.jaccard * many

    def _add_ngrams(self, ngrams: Mapping[CanonicalProblem, set[str]]) -> None:
        """N-grams that many problems share are turns of phrase; a problem with less than two others can be told as a whole alone."""
        common = {
            ngram for ngram, count in Counter(ngram for some in ngrams.values() for ngram in some).items() if count > MAX_PROBLEMS_PER_NGRAM
        }
        for entry, some in ngrams.items():
            own = some - common
            if len(own) < 2:
                words = mask_variables(entry.form)
                if len(words) >= (MIN_WORDS if _repeated_numbers(entry.form) else self._ngram_overlap.size):
                    self._short[tuple(words[:MIN_WORDS])].append((entry, words))
                continue
            for ngram in own:
                self._ngrams[ngram].append(len(self._quotable))
                self._ends.add((ngram[: ngram.index(" ")], ngram[ngram.rindex(" ") + 1 :]))
            self._quotable.append((entry, len(own), _repeated_numbers(entry.form)))

    def _quoted(self, form: str) -> Iterator[CanonicalProblem]:
        words, size = mask_variables(form), self._ngram_overlap.size
        begins = [at for at, ends in enumerate(zip(words, words[size - 1 :], strict=False)) if ends in self._ends]
        found = Counter[int]()
        for ngram in {" ".join(words[at : at + size]) for at in begins}:
            found.update(self._ngrams.get(ngram, ()))
        for place in sorted(found):
            entry, num_ngrams, needed = self._quotable[place]
            if found[place] >= self._ngram_overlap.min_share * num_ngrams and needed <= _repeated_numbers(form):
                yield entry

    def _contained(self, form: str) -> Iterator[CanonicalProblem]:
        """Short problems that stand in the row word for word, and end there."""
        words = mask_variables(form)
        sentence_ends = {*accumulate(len(sentence.split()) for sentence in form.split("\n"))}
        for at in range(len(words) - MIN_WORDS + 1):
            for entry, asked in self._short.get(tuple(words[at : at + MIN_WORDS]), ()):
                end = at + len(asked)
                if words[at:end] == asked and (end in sentence_ends or not (words[end] in GOES_ON or words[end][0].isdigit())):
                    yield entry


def _repeated_numbers(form: str) -> Counter[str]:
    """How often each number stands there: "from 4, 4 times" is not "from 4, 5 times"."""
    return Counter(word for word in form.split() if word[0].isdigit())


def _split_into_ngrams(words: Sequence[str], size: int) -> set[str]:
    """The words in n-grams of `size`, one after another; what is left over is not looked for."""
    return {" ".join(words[at : at + size]) for at in range(0, len(words) - size + 1, size)}


def _nearest(signature: Signature, candidates: Sequence[tuple[CanonicalProblem, Signature]]) -> tuple[float, CanonicalProblem | None]:
    """The best Jaccard and whose it is; of equals the first."""
    best: tuple[float, CanonicalProblem | None] = (0.0, None)
    for entry, other in candidates:
        score = jaccard(signature.shingles, other.shingles)
        if score > best[0]:
            best = score, entry
    return best
