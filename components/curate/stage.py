"""The stage: every source's rows become one table, what must go goes with a reason, and what is left is split by group.

`sources:` in params.yaml says which sources there are, in which order, and what each is for. They are read more than once. The first
reading compares each row with the benchmarks and keeps a few numbers of it (problem_table.py), on which all else is done; later ones
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

from components.core import map_batches, rows
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.params import Config, did_you_mean
from components.core.runner import In, Metrics, Out, Work
from components.core.types import Candidate, Dropped, Problem
from components.curate import solutions
from components.curate.canonical import canonical, normalise
from components.curate.contamination import BenchmarkIndex, CanonicalProblem, Match, NgramOverlap, Overlap
from components.curate.features import NO_OVERLAP, FeatureExtractor
from components.curate.funnel import DropReason, Funnel
from components.curate.llm_decontamination import LlmDecontamination, Verdict, ask_all, pairs
from components.curate.near_duplicates import MinHashConfig, exact_duplicates, near_duplicates
from components.curate.problem_table import NO_ANSWER, ProblemTable
from components.lib.engine.config import EngineHosts, Engines, open_engine
from components.lib.engine.protocol import Engine
from components.lib.sources import EXTRACTED, SOLUTIONS, Sources, Use

log = logging.getLogger(__name__)
PROBLEMS = "problems.parquet"
SPLITS = {1: "train", 2: "practice", 3: "exam"}
"""The sets by number; 0 is what is left out."""


class Curate(Config, section="curate"):
    """What counts as the same problem, and how much is held out."""

    extracted: str
    """What DVC watches as problems from forum topics; read only where a source is of topics."""
    seed: int
    num_perm: int = Field(gt=0)
    """MinHash permutations, cut into `num_bands` bands."""
    num_bands: int = Field(gt=0)
    near_duplicate_jaccard: float = Field(ge=0, le=1)
    """Of word pairs, numbers and variables masked; the numbers and the answer must be the same as well."""
    sentence_jaccard: float = Field(ge=0, le=1)
    """Each sentence of the shorter one must have a match this good."""
    contamination_jaccard: float = Field(ge=0, le=1)
    """Of word pairs, against the exam and the benchmarks."""
    ngram_size: int = Field(ge=4)
    """A benchmark's problem is cut into n-grams of so many words, to be found inside longer texts."""
    min_ngram_overlap: float = Field(gt=0, le=1)
    """Of those n-grams, all its numbers being there too, makes a row contaminated."""
    allowed_benchmarks: list[str]
    """Benchmarks, the exam not among them, whose problems may be trained on: such rows stay, with its name in `contaminated_by`."""
    keep_unanswered: bool
    """Whether training problems without an answer stay, of groups that are not held out: a majority may answer them (compose)."""
    drop_suspects: bool
    """Whether rows worded like a benchmark's problem with other numbers are left out, too."""
    practice_share: float = Field(ge=0, le=1)
    """Of the groups, held out from training."""
    llm_decontamination: LlmDecontamination
    """A model's word on suspects and nearest problems: those that it calls the same are contaminated."""

    def minhash(self, jaccard: float) -> MinHashConfig:
        if self.num_perm % self.num_bands:
            raise UserError(
                f"params.yaml: curate.num_perm: {self.num_perm} permutations do not make {self.num_bands} equal bands; take a multiple"
            )
        return MinHashConfig(jaccard, self.sentence_jaccard, self.num_perm, self.num_bands, self.seed)


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
    index = BenchmarkIndex(
        _canonical_problems(asked), config.minhash(config.contamination_jaccard), NgramOverlap(config.ngram_size, config.min_ngram_overlap)
    )
    with ProblemTable(out) as table:
        read = _read(config, where.cluster, inputs, index, table)
        funnel = _duplicates(config, table, read)
        paths = [given.path for given in inputs.values()]
        engine = config.llm_decontamination.engine and open_engine(
            config.llm_decontamination.engine, engines, hosts, Path(config.llm_decontamination.model)
        )
        verdicts = _verdicts(config, engine, paths, asked, read, funnel, work / "verdicts.jsonl") if engine else []
        resembling = _contamination(config, read, funnel)
    split = _splits(funnel, read)
    written = {name: rows.write(out / f"{name}.parquet", _chosen(paths, split == number, read), Problem) for number, name in SPLITS.items()}
    written["dropped"] = rows.write(out / "dropped.parquet", _left(paths, funnel.drops), Dropped)
    of_source = {path: table.sources.count(number) for number, path in enumerate(paths)}
    rows.write(out / SOLUTIONS, solutions.left(of_source, split == 1), Candidate)
    written["suspects"] = rows.write(out / "suspects.parquet", _left(paths, resembling), Dropped)
    rows.write(out / "verdicts.parquet", verdicts, Verdict)
    rows.write(out / "benchmarks.parquet", _each(asked), Problem)
    said = {"pairs": len(verdicts), "same": sum(verdict.same for verdict in verdicts)}
    return {
        **funnel.metrics(list(inputs)),
        "written": written,
        "benchmarks": known,
        "llm_decontamination": said,
        "allowed_benchmarks": _allowed(read, split),
    }


class FirstPass(NamedTuple):
    """What the first reading found, by row number."""

    num_source_rows: int
    """Rows that are not the exam's; they come first."""
    practice: bytearray
    """1 where the row's group is held out."""
    overlaps: dict[int, Overlap]
    """Of the rows that share anything with a benchmark."""


def _inputs(sources: Sources, raw: Path, extracted: Path) -> dict[str, Input]:
    """What comes in, by name: what may be trained on first, the exam last. Folders that no entry names are told of, and not read."""
    named = {raw / use / name for use in ("train", "exam", "benchmark", "topics") for name in sources.with_use(use)}
    for folder in sorted(set(raw.glob("*/*")) - named):
        log.info("%s: not read, no entry of `sources` in params.yaml is laid there; remove it", folder)
    discussed = {EXTRACTED: extracted / PROBLEMS} if sources.with_use("topics") else {}
    trained = {**_raw(sources, raw, "train"), **discussed}
    asked = _raw(sources, raw, "exam")
    if not asked:
        raise UserError("params.yaml: sources: no entry with `use: exam`; name the problems that models are asked")
    return {name: Input(path, path in asked.values()) for name, path in {**trained, **asked}.items()}


def _raw(sources: Sources, raw: Path, use: Use) -> dict[str, Path]:
    return {name: raw / use / name / PROBLEMS for name in sources.with_use(use)}


def _known(config: Curate, inputs: Mapping[str, Input], benchmarks: Mapping[str, Path]) -> dict[str, int]:
    """Problems by benchmark, the exam's among them. Raises UserError where an allowed one is not there, or is the exam's."""
    exam = {name: given.path for name, given in inputs.items() if given.exam}
    for name in config.allowed_benchmarks:
        if name in exam:
            raise UserError(f"params.yaml: curate.allowed_benchmarks: '{name}' is the exam's; its problems may not be trained on")
        if name not in benchmarks:
            raise UserError(
                f"params.yaml: curate.allowed_benchmarks: no benchmark '{name}'{did_you_mean(name, list(benchmarks))}; "
                f"there are: {', '.join(sorted(benchmarks))} (entries of `sources` with `use: benchmark`)"
            )
    return dict(sorted((name, sum(1 for _ in rows.read(path, Problem))) for name, path in {**exam, **benchmarks}.items()))


def _read(config: Curate, cluster: str | None, inputs: Mapping[str, Input], index: BenchmarkIndex, table: ProblemTable) -> FirstPass:
    """Fills the table from all inputs. Raises UserError where two rows have one id."""
    practice, overlaps, num_source_rows = bytearray(), dict[int, Overlap](), 0
    for source, given in enumerate(inputs.values()):
        compare = FeatureExtractor(None if given.exam else index, config.practice_share, config.seed)
        for found in map_batches.map_batches(compare, given.path, Problem, None if given.exam else cluster):
            if found.overlap != NO_OVERLAP:
                overlaps[len(table)] = found.overlap
            practice.append(found.practice)
            table.add(source, found.id, found.answer, found.form)
        num_source_rows = num_source_rows if given.exam else len(table)
    if clash := table.duplicate_id():
        first, second = (list(inputs.values())[table.sources[row]].path for row in clash)
        number = clash[1] - table.sources.index(table.sources[clash[1]]) + 1
        raise UserError(
            f"{second}, row {number}: id '{table.ids[clash[1]]}' is taken by a row of {first}; give each source's ids a prefix of their own"
        )
    return FirstPass(num_source_rows, practice, overlaps)


def _duplicates(config: Curate, table: ProblemTable, read: FirstPass) -> Funnel:
    """Takes out what has no answer, repeats another row or contradicts it."""
    import numpy as np

    funnel = Funnel(table)
    ours = np.arange(len(table)) < read.num_source_rows
    unanswered = table.answers() == NO_ANSWER
    if config.keep_unanswered:
        unanswered &= ~ours | (np.frombuffer(bytes(read.practice), dtype=np.uint8) == 1)
    funnel.drop((int(row), DropReason("no answer", "", None)) for row in np.flatnonzero(unanswered))
    funnel.drop(exact_duplicates(table, funnel.alive & ~ours))
    funnel.drop(exact_duplicates(table, funnel.alive & ours))
    funnel.drop(near_duplicates(table, funnel.alive & ours, config.minhash(config.near_duplicate_jaccard)))
    return funnel


def _verdicts(
    config: Curate, engine: Engine, inputs: Sequence[Path], asked: Sequence[Path], read: FirstPass, funnel: Funnel, kept: Path
) -> list[Verdict]:
    """Asks a model about rows that may be a benchmark's problem; those that it confirms are matches from now on."""
    gone = {row for row, _ in _contaminated(read.overlaps, frozenset(config.allowed_benchmarks), funnel.alive)}
    left = ((row, one) for row, one in enumerate(_each(inputs)) if row < read.num_source_rows and funnel.alive[row] and row not in gone)
    asyncio.run(
        ask_all(
            config.llm_decontamination,
            config.seed,
            engine,
            pairs(config.llm_decontamination, left, read.overlaps, list(_each(asked))),
            kept,
        )
    )
    verdicts = list(rows.read(kept, Verdict))
    for verdict in verdicts:
        if verdict.same:
            overlap = read.overlaps.get(verdict.row, NO_OVERLAP)
            match = Match(verdict.benchmark, "a model calls them the same", verdict.problem)
            read.overlaps[verdict.row] = Overlap((*overlap.matches, match), None)
    return verdicts


def _contamination(config: Curate, read: FirstPass, funnel: Funnel) -> dict[int, DropReason]:
    """Takes out what gives a benchmark away; returns what is left and resembles a benchmark's problem."""
    funnel.drop(_contaminated(read.overlaps, frozenset(config.allowed_benchmarks), funnel.alive))
    resembling = {
        row: DropReason("suspect", f"{overlap.suspect.benchmark}: {overlap.suspect.how}", overlap.suspect.problem)
        for row, overlap in read.overlaps.items()
        if overlap.suspect and funnel.alive[row]
    }
    if config.drop_suspects:
        funnel.drop(resembling.items())
    return resembling


def _contaminated(overlaps: Mapping[int, Overlap], allowed_benchmarks: frozenset[str], alive: Any) -> Iterator[tuple[int, DropReason]]:
    for row, overlap in overlaps.items():
        matches = sorted(overlap.matches, key=lambda match: match.benchmark in allowed_benchmarks)
        if matches and matches[0].benchmark not in allowed_benchmarks and alive[row]:
            yield row, DropReason("contaminated", "; ".join(f"{match.benchmark}: {match.how}" for match in matches), matches[0].problem)


def _splits(funnel: Funnel, read: FirstPass) -> Any:
    """Of each row the number of its set, 0 where it is dropped."""
    import numpy as np

    split = np.where(np.frombuffer(bytes(read.practice), dtype=np.uint8) == 1, 2, 1)
    split[read.num_source_rows :] = 3
    return np.where(funnel.alive, split, 0)


def _chosen(files: Iterable[Path], chosen: Any, read: FirstPass) -> Iterator[Problem]:
    for row, problem in enumerate(_each(files)):
        if chosen[row]:
            matches = tuple(sorted(match.benchmark for match in read.overlaps.get(row, NO_OVERLAP).matches))
            yield problem.model_copy(update={"statement": normalise(problem.statement), "contaminated_by": matches})


def _left(files: Iterable[Path], drops: Mapping[int, DropReason]) -> Iterator[Dropped]:
    for row, problem in enumerate(_each(files)):
        if drop := drops.get(row):
            yield Dropped(id=problem.id, statement=problem.statement, reason=drop.reason, detail=drop.detail, other=drop.other)


def _allowed(read: FirstPass, split: Any) -> dict[str, int]:
    """Rows kept for training although a benchmark asks them, by benchmark."""
    return dict(Counter(match.benchmark for row, overlap in read.overlaps.items() if split[row] for match in overlap.matches))


def _canonical_problems(files: Iterable[Path]) -> Iterator[CanonicalProblem]:
    for problem in _each(files):
        yield CanonicalProblem(problem.id, problem.source, problem.group, problem.answer, canonical(problem.statement))


def _each(files: Iterable[Path]) -> Iterator[Problem]:
    for path in files:
        yield from rows.read(path, Problem)
