"""Which rows must not be trained on because the exam asks them, and which only resemble an exam problem.

Contaminated is what shares an exam problem's group, its canonical form, or its numbers and most of its wording; sentences and answers
are not compared here, for a lost training row costs little and a leaked exam problem costs the result. Suspect is what shares the wording
with other numbers: a sibling of a generated family, or a problem with a changed constant. The exam set is small and is held whole.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from components.curate.canonical import numbers
from components.curate.marks import Fate, Mark
from components.curate.near import Rule, Wording, Wordings, jaccard


def contaminated(pool: Sequence[Mark], exam: Sequence[Mark], rule: Rule) -> Iterator[tuple[str, Fate]]:
    """Rows of the pool that the exam asks too, with the exam problem they gave away."""
    groups = {mark.group: mark.id for mark in reversed(exam)}
    forms = {mark.form: mark.id for mark in reversed(exam)}
    by_numbers: dict[tuple[str, ...], list[tuple[Mark, Wording]]] = defaultdict(list)
    for mark in exam:
        by_numbers[numbers(mark.form)].append((mark, Wording.of(mark.form, rule)))
    for mark in pool:
        if mark.form in forms:
            yield mark.id, Fate("contaminated", "exact", forms[mark.form])
        elif mark.group in groups:
            yield mark.id, Fate("contaminated", "group", groups[mark.group])
        elif here := by_numbers.get(numbers(mark.form)):
            score, other = _nearest(Wording.of(mark.form, rule), here)
            if score >= rule.jaccard:
                yield mark.id, Fate("contaminated", f"near: Jaccard {score:.2f}, the same numbers", other)


def suspects(pool: Sequence[Mark], exam: Sequence[Mark], rule: Rule) -> Iterator[tuple[str, Fate]]:
    """Rows that are said like an exam problem, each with the nearest one; what is contaminated is to be taken out before."""
    known = Wordings(rule)
    for mark in exam:
        known.add(mark, Wording.of(mark.form, rule))
    for mark in pool:
        said = Wording.of(mark.form, rule)
        score, other = _nearest(said, list(known.candidates(said)))
        if score >= rule.jaccard:
            yield mark.id, Fate("suspect", f"Jaccard {score:.2f}, other numbers", other)


def _nearest(said: Wording, candidates: Sequence[tuple[Mark, Wording]]) -> tuple[float, str]:
    """The best Jaccard and whose it is; of equals the first."""
    return max(((jaccard(said.pairs, other.pairs), mark.id) for mark, other in candidates), key=lambda pair: pair[0], default=(0.0, ""))
