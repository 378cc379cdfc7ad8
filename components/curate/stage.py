"""The stage: every source's rows become one pool, what must go goes with a reason, and what is left is split by group.

`sources:` in params.yaml says which sources there are, in which order, and what each is for. They are read more than once. The first
reading compares each row with the benchmarks and keeps a few numbers of it (pool.py), on which all further comparing is done; later ones
write the sets, in the order of the inputs, so that statements are never held all at once.
Does not know where the problems came from.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from components.core import rows, shards
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.params import Config, nearest
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Dropped, Problem
from components.curate.canonical import canonical, normalise
from components.curate.compare import NOTHING, Compare
from components.curate.confirm import Confirm, Verdict, ask_all, pairs
from components.curate.funnel import Funnel
from components.curate.leaks import Hit, Index, Look, Quote
from components.curate.marks import Fate, Mark
from components.curate.near import Rule, exact, near
from components.curate.pool import NO_ANSWER, Pool
from components.lib.engine.config import EngineHosts, Engines, open_engine
from components.lib.engine.protocol import Engine
from components.lib.sources import EXTRACTED, Sources, Use

log = logging.getLogger(__name__)
PROBLEMS = "problems.parquet"
SIDES = {1: "train", 2: "practice", 3: "exam"}
"""The sets by number; 0 is what is left out."""


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
    """Of word pairs, against the exam and the benchmarks."""
    quote_words: int = Field(ge=4)
    """A benchmark's problem is cut into runs of so many words, to be found inside longer texts."""
    quoted_share: float = Field(gt=0, le=1)
    """Of those runs, all its numbers being there too, makes a row contaminated."""
    tolerated: list[str]
    """Benchmarks, the exam not among them, whose problems may be trained on: such rows stay, with its name in `contaminated_by`."""
    drop_suspects: bool
    """Whether rows worded like a benchmark's problem with other numbers are left out, too."""
    practice_share: float = Field(ge=0, le=1)
    """Of the groups, held out from training."""
    confirm: Confirm
    """A model's word on suspects and nearest problems: those that it calls the same are contaminated."""

    def rule(self, jaccard: float) -> Rule:
        if self.num_perm % self.bands:
            raise UserError(
                f"params.yaml: curate.num_perm: {self.num_perm} permutations do not make {self.bands} equal bands; take a multiple"
            )
        return Rule(jaccard, self.sentence_jaccard, self.num_perm, self.bands, self.seed)


class CurateCluster(MachineConfig, section="curate"):
    """Where rows are compared with the benchmarks."""

    cluster: str | None
    """null: in this process; `local`: Ray on all cores here; or a Ray cluster's address."""


class Input(NamedTuple):
    """A file of problems that come in."""

    path: Path
    exam: bool


def curate(
    config: Curate, engines: Engines, sources: Sources, hosts: EngineHosts, where: CurateCluster,
    *, raw: In, extracted: In, out: Out, work: Work,
) -> Metrics:  # fmt: skip
    """Merges all sources, drops what repeats, contradicts or gives a benchmark away, and splits the rest."""
    inputs, benchmarks = _inputs(sources, raw, extracted), _raw(sources, raw, "benchmark")
    asked = [*(given.path for given in inputs.values() if given.exam), *benchmarks.values()]
    known = _known(config, inputs, benchmarks)
    index = Index(_marks(asked), config.rule(config.contaminated_jaccard), Quote(config.quote_words, config.quoted_share))
    with Pool(out) as pool:
        read = _read(config, where.cluster, inputs, index, pool)
        funnel = _repeats(config, pool, read)
        paths = [given.path for given in inputs.values()]
        engine = config.confirm.engine and open_engine(config.confirm.engine, engines, hosts, Path(config.confirm.model))
        verdicts = _verdicts(config, engine, paths, asked, read, funnel, work / "verdicts.jsonl") if engine else []
        resembling = _leaks(config, read, funnel)
    side = _sides(funnel, read)
    written = {name: rows.write(out / f"{name}.parquet", _chosen(paths, side == number, read), Problem) for number, name in SIDES.items()}
    written["dropped"] = rows.write(out / "dropped.parquet", _left(paths, funnel.fates), Dropped)
    written["suspects"] = rows.write(out / "suspects.parquet", _left(paths, resembling), Dropped)
    rows.write(out / "verdicts.parquet", verdicts, Verdict)
    rows.write(out / "benchmarks.parquet", _each(asked), Problem)
    said = {"asked": len(verdicts), "same": sum(verdict.same for verdict in verdicts)}
    return {**funnel.metrics(list(inputs)), "written": written, "benchmarks": known, "confirm": said, "tolerated": _tolerated(read, side)}


class Read(NamedTuple):
    """What the first reading found, by row number."""

    num_pool: int
    """Rows that are not the exam's; they come first."""
    practice: bytearray
    """1 where the row's group is held out."""
    looks: dict[int, Look]
    """Of the rows that share anything with a benchmark."""


def _inputs(sources: Sources, raw: Path, extracted: Path) -> dict[str, Input]:
    """What comes in, by name: what may be trained on first, the exam last. Folders that no entry names are told of, and not read."""
    named = {raw / use / name for use in ("train", "exam", "benchmark", "topics") for name in sources.named(use)}
    for folder in sorted(set(raw.glob("*/*")) - named):
        log.info("%s: not read, no entry of `sources` in params.yaml is laid there; remove it", folder)
    trained = {**_raw(sources, raw, "train"), EXTRACTED: extracted / PROBLEMS}
    asked = _raw(sources, raw, "exam")
    if not asked:
        raise UserError("params.yaml: sources: no entry with `use: exam`; name the problems that models are asked")
    return {name: Input(path, path in asked.values()) for name, path in {**trained, **asked}.items()}


def _raw(sources: Sources, raw: Path, use: Use) -> dict[str, Path]:
    return {name: raw / use / name / PROBLEMS for name in sources.named(use)}


def _known(config: Curate, inputs: Mapping[str, Input], benchmarks: Mapping[str, Path]) -> dict[str, int]:
    """Problems by benchmark, the exam's among them. Raises UserError where a tolerated one is not there, or is the exam's."""
    exam = {name: given.path for name, given in inputs.items() if given.exam}
    for name in config.tolerated:
        if name in exam:
            raise UserError(f"params.yaml: curate.tolerated: '{name}' is the exam's; its problems may not be trained on")
        if name not in benchmarks:
            raise UserError(
                f"params.yaml: curate.tolerated: no benchmark '{name}'{nearest(name, list(benchmarks))}; "
                f"there are: {', '.join(sorted(benchmarks))} (entries of `sources` with `use: benchmark`)"
            )
    return dict(sorted((name, sum(1 for _ in rows.read(path, Problem))) for name, path in {**exam, **benchmarks}.items()))


def _read(config: Curate, cluster: str | None, inputs: Mapping[str, Input], index: Index, pool: Pool) -> Read:
    """Fills the pool from all inputs. Raises UserError where two rows have one id."""
    practice, looks, num_pool = bytearray(), dict[int, Look](), 0
    for source, given in enumerate(inputs.values()):
        compare = Compare(None if given.exam else index, config.practice_share, config.seed)
        for found in shards.mapped(compare, given.path, Problem, None if given.exam else cluster):
            if found.look != NOTHING:
                looks[len(pool)] = found.look
            practice.append(found.practice)
            pool.add(source, found.id, found.answer, found.form)
        num_pool = num_pool if given.exam else len(pool)
    if clash := pool.repeated():
        first, second = (list(inputs.values())[pool.sources[row]].path for row in clash)
        number = clash[1] - pool.sources.index(pool.sources[clash[1]]) + 1
        raise UserError(
            f"{second}, row {number}: id '{pool.ids[clash[1]]}' is taken by a row of {first}; give each source's ids a prefix of their own"
        )
    return Read(num_pool, practice, looks)


def _repeats(config: Curate, pool: Pool, read: Read) -> Funnel:
    """Takes out what has no answer, repeats another row or contradicts it."""
    import numpy as np

    funnel = Funnel(pool)
    ours = np.arange(len(pool)) < read.num_pool
    unanswered = ((int(row), Fate("no answer", "", None)) for row in np.flatnonzero(pool.answers() == NO_ANSWER))
    funnel.leave(unanswered)
    funnel.leave(exact(pool, funnel.alive & ~ours))
    funnel.leave(exact(pool, funnel.alive & ours))
    funnel.leave(near(pool, funnel.alive & ours, config.rule(config.duplicate_jaccard)))
    return funnel


def _verdicts(
    config: Curate, engine: Engine, inputs: Sequence[Path], asked: Sequence[Path], read: Read, funnel: Funnel, kept: Path
) -> list[Verdict]:
    """Asks a model about rows that may be a benchmark's problem; those that it confirms are hits from now on."""
    gone = {row for row, _ in _contaminated(read.looks, frozenset(config.tolerated), funnel.alive)}
    left = ((row, one) for row, one in enumerate(_each(inputs)) if row < read.num_pool and funnel.alive[row] and row not in gone)
    asyncio.run(ask_all(config.confirm, config.seed, engine, pairs(config.confirm, left, read.looks, list(_each(asked))), kept))
    verdicts = list(rows.read(kept, Verdict))
    for verdict in verdicts:
        if verdict.same:
            look = read.looks.get(verdict.row, NOTHING)
            hit = Hit(verdict.benchmark, "a model calls them the same", verdict.problem)
            read.looks[verdict.row] = Look((*look.hits, hit), None)
    return verdicts


def _leaks(config: Curate, read: Read, funnel: Funnel) -> dict[int, Fate]:
    """Takes out what gives a benchmark away; returns what is left and resembles a benchmark's problem."""
    funnel.leave(_contaminated(read.looks, frozenset(config.tolerated), funnel.alive))
    resembling = {
        row: Fate("suspect", f"{look.suspect.benchmark}: {look.suspect.how}", look.suspect.problem)
        for row, look in read.looks.items()
        if look.suspect and funnel.alive[row]
    }
    if config.drop_suspects:
        funnel.leave(resembling.items())
    return resembling


def _contaminated(looks: Mapping[int, Look], tolerated: frozenset[str], alive: Any) -> Iterator[tuple[int, Fate]]:
    for row, look in looks.items():
        hits = sorted(look.hits, key=lambda hit: hit.benchmark in tolerated)
        if hits and hits[0].benchmark not in tolerated and alive[row]:
            yield row, Fate("contaminated", "; ".join(f"{hit.benchmark}: {hit.how}" for hit in hits), hits[0].problem)


def _sides(funnel: Funnel, read: Read) -> Any:
    """Of each row the number of its set, 0 where it is dropped."""
    import numpy as np

    side = np.where(np.frombuffer(bytes(read.practice), dtype=np.uint8) == 1, 2, 1)
    side[read.num_pool :] = 3
    return np.where(funnel.alive, side, 0)


def _chosen(files: Iterable[Path], chosen: Any, read: Read) -> Iterator[Problem]:
    for row, problem in enumerate(_each(files)):
        if chosen[row]:
            hits = tuple(sorted(hit.benchmark for hit in read.looks.get(row, NOTHING).hits))
            yield problem.model_copy(update={"statement": normalise(problem.statement), "contaminated_by": hits})


def _left(files: Iterable[Path], fates: Mapping[int, Fate]) -> Iterator[Dropped]:
    for row, problem in enumerate(_each(files)):
        if fate := fates.get(row):
            yield Dropped(id=problem.id, statement=problem.statement, reason=fate.reason, detail=fate.detail, other=fate.other)


def _tolerated(read: Read, side: Any) -> dict[str, int]:
    """Rows kept for training although a benchmark asks them, by benchmark."""
    return dict(Counter(hit.benchmark for row, look in read.looks.items() if side[row] for hit in look.hits))


def _marks(files: Iterable[Path]) -> Iterator[Mark]:
    for problem in _each(files):
        yield Mark(problem.id, problem.source, problem.group, problem.answer, canonical(problem.statement))


def _each(files: Iterable[Path]) -> Iterator[Problem]:
    for path in files:
        yield from rows.read(path, Problem)
