"""Which rows ask what a benchmark asks, and which only resemble one of its problems.

A benchmark is any set that the project can sit as an exam. Contaminated is what shares a problem's group, its canonical form, its
numbers and most of its wording, or holds it inside a longer text; sentences and answers are not compared here, for a lost training row
costs little and a leaked exam problem costs the result. Suspect is what shares the wording with other numbers: a sibling of a generated
family, or a problem with a changed constant. Benchmarks are small, and are held whole.

Not covered: a problem retold in other words. Of the ten pairs of NeMo-Skills' contamination example eight are found. A model can be asked
about suspects and about the nearest problems (confirm.py, nearest.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from sys import intern
from typing import NamedTuple

from components.curate.canonical import masked, numbers
from components.curate.marks import Mark
from components.curate.near import Rule, Wording, Wordings, jaccard

NEAREST = 8
"""Candidates for the nearest wording, those that share the most bands."""
COMMON = 8
"""A run of words in more problems than this is a turn of phrase."""


class Quote(NamedTuple):
    """When a row holds a benchmark's problem inside a longer text."""

    words: int
    """A problem is cut into runs of so many words, and is found where the row has them."""
    share: float
    """Of those runs; and all of its numbers, as often as it has them."""


class Hit(NamedTuple):
    """A problem of a benchmark that a row gives away, or resembles."""

    benchmark: str
    how: str
    problem: str


class Look(NamedTuple):
    """What a row has in common with the benchmarks."""

    hits: tuple[Hit, ...]
    """At most one of each benchmark, in the order in which the index took them in."""
    suspect: Hit | None


class Index:
    """All problems of all benchmarks, found by what a row may share with them; of equals the first."""

    def __init__(self, asked: Iterable[Mark], rule: Rule, quote: Quote) -> None:
        self._rule, self._quote = rule, quote
        self._forms: dict[str, list[Mark]] = defaultdict(list)
        self._groups: dict[str, list[Mark]] = defaultdict(list)
        self._numbers: dict[tuple[str, ...], list[tuple[Mark, Wording]]] = defaultdict(list)
        self._runs: dict[str, list[int]] = defaultdict(list)
        self._ends: set[tuple[str, str]] = set()
        """First and last words of all runs: most of a row's runs need not be put together."""
        self._quotable: list[tuple[Mark, int, Counter[str]]] = []
        self._wordings = Wordings[Mark](rule)
        self._benchmarks: dict[str, int] = {}
        worded, runs = set[tuple[str, frozenset[str]]](), dict[Mark, set[str]]()
        for mark in asked:
            self._benchmarks.setdefault(mark.source, len(self._benchmarks))
            said = Wording.of(mark.form, rule)
            self._forms[mark.form].append(mark)
            self._groups[mark.group].append(mark)
            self._numbers[numbers(mark.form)].append((mark, said))
            if (mark.source, said.pairs) not in worded:  # families repeat their wording: the first one stands for all
                worded.add((mark.source, said.pairs))
                self._wordings.add(mark, said)
            runs[mark] = _cut(masked(mark.form), quote.words)
        self._add_runs(runs)

    def look(self, form: str, group: str) -> Look:
        """What a row of this form and group has in common with the benchmarks."""
        said = Wording.of(form, self._rule)
        found: dict[str, Hit] = {}
        for mark, how in self._shared(form, group, said):
            found.setdefault(mark.source, Hit(intern(mark.source), intern(how), mark.id))
        hits = tuple(found[name] for name in sorted(found, key=self._benchmarks.__getitem__))
        score, nearest = _nearest(said, [pair for pair in self._wordings.likeliest(said, NEAREST) if pair[0].source not in found])
        if nearest is None or score < self._rule.jaccard:
            return Look(hits, None)
        return Look(hits, Hit(intern(nearest.source), intern(f"Jaccard {score:.2f}, other numbers"), nearest.id))

    def _shared(self, form: str, group: str, said: Wording) -> Iterator[tuple[Mark, str]]:
        """Problems that a row gives away, the surest sign first."""
        for mark in self._forms.get(form, ()):
            yield mark, "exact"
        for mark in self._groups.get(group, ()):
            yield mark, "group"
        here = numbers(form)
        scored = [(jaccard(said.pairs, other.pairs), mark) for mark, other in self._numbers.get(here, ()) if self._comparable(said, other)]
        for score, mark in sorted(scored, key=lambda pair: -pair[0]):
            if score >= self._rule.jaccard:
                yield mark, f"near: Jaccard {score:.2f}, the same numbers"
        for mark in self._quoted(form):
            yield mark, "quoted inside a longer text"

    def _comparable(self, here: Wording, there: Wording) -> bool:
        """Whether the sizes of two sets let their Jaccard be high enough: it is at most their ratio."""
        few, many = sorted((len(here.pairs), len(there.pairs)))
        return few >= self._rule.jaccard * many

    def _add_runs(self, runs: Mapping[Mark, set[str]]) -> None:
        """Runs that many problems share are turns of phrase; a problem with less than two others cannot be told by its runs."""
        common = {run for run, count in Counter(run for some in runs.values() for run in some).items() if count > COMMON}
        for mark, some in runs.items():
            own = some - common
            if len(own) < 2:
                continue
            for run in own:
                self._runs[run].append(len(self._quotable))
                self._ends.add((run[: run.index(" ")], run[run.rindex(" ") + 1 :]))
            self._quotable.append((mark, len(own), _repeated_numbers(mark.form)))

    def _quoted(self, form: str) -> Iterator[Mark]:
        words, size = masked(form), self._quote.words
        begins = [at for at, ends in enumerate(zip(words, words[size - 1 :], strict=False)) if ends in self._ends]
        found = Counter[int]()
        for run in {" ".join(words[at : at + size]) for at in begins}:
            found.update(self._runs.get(run, ()))
        for place in sorted(found):
            mark, num_runs, needed = self._quotable[place]
            if found[place] >= self._quote.share * num_runs and needed <= _repeated_numbers(form):
                yield mark


def _repeated_numbers(form: str) -> Counter[str]:
    """How often each number stands there: "from 4, 4 times" is not "from 4, 5 times"."""
    return Counter(word for word in form.split() if word[0].isdigit())


def _cut(words: Sequence[str], size: int) -> set[str]:
    """The words in runs of `size`, one after another; what is left over is not looked for."""
    return {" ".join(words[at : at + size]) for at in range(0, len(words) - size + 1, size)}


def _nearest(said: Wording, candidates: Sequence[tuple[Mark, Wording]]) -> tuple[float, Mark | None]:
    """The best Jaccard and whose it is; of equals the first."""
    best: tuple[float, Mark | None] = (0.0, None)
    for mark, other in candidates:
        score = jaccard(said.pairs, other.pairs)
        if score > best[0]:
            best = score, mark
    return best
