"""The stage: every source's rows become one pool, what must go goes with a reason, and what is left is split by group.

Inputs are read twice. The first reading keeps a mark of each row (marks.py), on which all comparing is done; the second one writes the
sets, in the order of the inputs, so that statements are never held all at once. Does not know where the problems came from.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out
from components.core.types import Dropped, Problem
from components.curate.canonical import canonical, normalise
from components.curate.exam import contaminated, suspects
from components.curate.marks import Fate, Mark
from components.curate.near import Rule, exact, near
from components.curate.split import is_practice

log = logging.getLogger(__name__)

Fates = dict[str, Fate]
EXAM = "exam"


class Curate(Config, section="curate"):
    """What counts as the same problem, and how much is held out."""

    seed: int
    num_perm: int = Field(gt=0)
    """MinHash permutations, cut into `bands` bands."""
    bands: int = Field(gt=0)
    duplicate_jaccard: float = Field(ge=0, le=1)
    """Of word pairs, numbers and variables masked; the numbers and the answer must be the same as well."""
    sentence_jaccard: float = Field(ge=0, le=1)
    """Each sentence of the shorter one must have a match this good."""
    contaminated_jaccard: float = Field(ge=0, le=1)
    """Of word pairs, against the exam."""
    drop_suspects: bool
    """Whether rows worded like an exam problem with other numbers are left out, too."""
    practice_share: float = Field(ge=0, le=1)
    """Of the groups, held out from training."""

    def rule(self, jaccard: float) -> Rule:
        if self.num_perm % self.bands:
            raise UserError(
                f"params.yaml: curate.num_perm: {self.num_perm} permutations do not make {self.bands} equal bands; take a multiple"
            )
        return Rule(jaccard, self.sentence_jaccard, self.num_perm, self.bands, self.seed)


def curate(config: Curate, *, generated: In, files: In, extracted: In, exam: In, out: Out) -> Metrics:
    """Merges all sources, drops what repeats, contradicts or gives the exam away, and splits the rest."""
    same, leak = config.rule(config.duplicate_jaccard), config.rule(config.contaminated_jaccard)
    sources = {name: folder / "problems.parquet" for name, folder in (("generated", generated), ("files", files), ("extracted", extracted))}
    pool, asked = _merge({**sources, EXAM: exam / "problems.parquet"})
    funnel = Funnel([*pool, *asked])

    asked = funnel.leave(asked, without_answer(asked))
    asked = funnel.leave(asked, exact(asked))
    pool = funnel.leave(pool, without_answer(pool))
    pool = funnel.leave(pool, exact(pool))
    pool = funnel.leave(pool, near(pool, same))
    pool = funnel.leave(pool, contaminated(pool, asked, leak))
    resembling = dict(suspects(pool, asked, leak))
    if config.drop_suspects:
        pool = funnel.leave(pool, resembling.items())

    practice = {mark.id for mark in pool if is_practice(mark.group, share=config.practice_share, seed=config.seed)}
    train = {mark.id for mark in pool} - practice
    written = {
        "train": rows.write(out / "train.parquet", _chosen(sources.values(), train), Problem),
        "practice": rows.write(out / "practice.parquet", _chosen(sources.values(), practice), Problem),
        "exam": rows.write(out / "exam.parquet", _chosen([exam / "problems.parquet"], {mark.id for mark in asked}), Problem),
        "dropped": rows.write(out / "dropped.parquet", _left([*sources.values(), exam / "problems.parquet"], funnel.fates), Dropped),
        "suspects": rows.write(out / "suspects.parquet", _left(sources.values(), resembling), Dropped),
    }
    return {**funnel.metrics(), "written": written}


class Funnel:
    """Takes rows out of a pool, one step after another, and remembers why."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self.fates: Fates = {}
        self._source = {mark.id: mark.source for mark in marks}

    def leave(self, pool: Sequence[Mark], fates: Iterable[tuple[str, Fate]]) -> list[Mark]:
        gone = dict(fates)
        self.fates.update(gone)
        left = [mark for mark in pool if mark.id not in gone]
        for reason, count in sorted(Counter(fate.reason for fate in gone.values()).items()):
            log.info("%s: %d of %d", reason, count, len(pool))
        return left

    def metrics(self) -> Metrics:
        """Rows per source as read, as dropped by reason, and as kept."""
        read = Counter(self._source.values())
        dropped: dict[str, Counter[str]] = {}
        for key, fate in self.fates.items():
            dropped.setdefault(fate.reason, Counter())[self._source[key]] += 1
        kept = {source: count - sum(counts[source] for counts in dropped.values()) for source, count in read.items()}
        return {"read": dict(read), "dropped": {reason: dict(counts) for reason, counts in dropped.items()}, "kept": kept}


def without_answer(pool: Iterable[Mark]) -> Iterator[tuple[str, Fate]]:
    """They can be neither trained on nor marked."""
    for mark in pool:
        if mark.answer is None:
            yield mark.id, Fate("no answer", "", None)


def _merge(files: Mapping[str, Path]) -> tuple[list[Mark], list[Mark]]:
    """The marks of the pool and of the exam, both in the order of the inputs. Raises UserError where two rows have one id."""
    marks: dict[str, Mark] = {}
    for source, path in files.items():
        for number, problem in enumerate(rows.read(path, Problem), 1):
            if clash := marks.get(problem.id):
                raise UserError(
                    f"{path}, row {number}: id '{problem.id}' is taken by a row of {files[clash.source]}; "
                    "give each source's ids a prefix of their own"
                )
            marks[problem.id] = Mark(problem.id, source, problem.group, problem.answer, canonical(problem.statement))
    pool = [mark for mark in marks.values() if mark.source != EXAM]
    return pool, [mark for mark in marks.values() if mark.source == EXAM]


def _chosen(files: Iterable[Path], chosen: set[str]) -> Iterator[Problem]:
    for problem in _each(files):
        if problem.id in chosen:
            yield problem.model_copy(update={"statement": normalise(problem.statement)})


def _left(files: Iterable[Path], fates: Fates) -> Iterator[Dropped]:
    for problem in _each(files):
        if fate := fates.get(problem.id):
            yield Dropped(id=problem.id, statement=problem.statement, reason=fate.reason, detail=fate.detail, other=fate.other)


def _each(files: Iterable[Path]) -> Iterator[Problem]:
    for path in files:
        yield from rows.read(path, Problem)
