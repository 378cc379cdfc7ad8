"""The stage: one set per key, problem by problem, in the problems' order.

Writes into the set's folder the rows, `dropped.parquet` (every attempt or problem that was left out, and why), `pseudo_labels.parquet`
where a majority answers for missing golds, and `stats.json` (the rows, described). The card lies in a folder of its own: it names
the code that made the set, and a training shall not run again because a comment changed.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from components.compose import dataset_card, missing_answers, slices
from components.compose.dataset_stats import StatsCollector, Subsample
from components.compose.kind import AttemptGroup, TrainingRow, dropped_row
from components.compose.kinds.cot import Cot
from components.compose.kinds.distill import Distill
from components.compose.kinds.dpo import Dpo
from components.compose.kinds.genselect import GenSelect
from components.compose.kinds.grpo import Grpo
from components.compose.kinds.tir import Tir
from components.compose.missing_answers import FillMajorityAnswer
from components.compose.slices import Slice
from components.core import joined, rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out, write_json
from components.core.types import Annotation, Candidate, Dropped, Problem, PseudoLabel
from components.lib import tool_translation
from components.lib.answers import Contest


class Compose(Config, section="compose", keyed=True):
    """One training set."""

    seed: int
    slices: list[Slice]
    """Which problems and attempts are taken at all; none named: all."""
    fill_majority_answer: FillMajorityAnswer | None
    """When the attempts' majority answers for a problem without an answer; null: such a problem has no right attempts."""
    rows: Annotated[Cot | Tir | GenSelect | Dpo | Grpo | Distill, Field(discriminator="kind")]


def compose(
    config: Compose, contest: Contest,
    *, candidates: In, annotations: In, problems: In, solutions: In, curated: In, out: Out, card: Out,
) -> Metrics:  # fmt: skip
    """Turns graded attempts into the rows of one training set, and counts what was left out, and why."""
    counted = _counted(curated)
    out.mkdir(parents=True)
    collector, made = StatsCollector(config.seed, contest), out / "made.parquet"
    with ExitStack() as files:
        dropped = files.enter_context(rows.ParquetWriter(out / "dropped.parquet", Dropped))
        with rows.ParquetWriter(made, config.rows.row) as kept:
            read = _with_solutions(config, joined.read(problems, candidates, annotations), problems, solutions)
            for problem, row in _made(config, contest, collector, read, _filled(config, out, files)):
                if isinstance(row, Dropped):
                    dropped.append(row)
                    collector.drop(row, problem)
                else:
                    kept.append(row)
                    collector.keep(row, problem)
        if not kept.count:
            raise UserError(f"{candidates}: not one attempt is fit for the set '{config.rows.kind}'; left out: {dict(collector.dropped)}")
        subsample = collector.subsample(config.rows.max_rows)
        _limit(made, out / f"{config.rows.file}.parquet", config, collector, subsample, dropped)
    stats = collector.stats(subsample)
    write_json(out / "stats.json", stats)
    settings = config.model_dump(mode="json")
    dataset_card.write(card, dataset_card.DatasetCard(out.name.removeprefix(".partial-"), config.rows, settings, collector, stats, counted))
    by_answer_digits = {digits: dict(reasons) for digits, reasons in collector.by_answer_digits.items()}
    return {
        "rows": subsample.rows,
        "dropped": dict(collector.dropped),
        "counts": dict(collector.counts),
        "by_answer_digits": by_answer_digits,
    }


def _counted(curated: Path) -> dict[str, Any]:
    try:
        counted = json.loads(curated.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{curated}: not the counts that curate writes: {error}; run curate again") from None
    if not isinstance(counted, dict):
        raise UserError(f"{curated}: not the counts that curate writes: it holds {counted!r:.40}; run curate again")
    return counted


def _filled(config: Compose, out: Path, files: ExitStack) -> "rows.ParquetWriter[PseudoLabel] | None":
    return files.enter_context(rows.ParquetWriter(out / "pseudo_labels.parquet", PseudoLabel)) if config.fill_majority_answer else None


class Tried(NamedTuple):
    """A problem with all that there is of it."""

    problem: Problem
    attempts: list[Candidate]
    annotations: list[Annotation]
    solutions: list[Candidate]
    """What its source brought along; numbered after the attempts."""


def _with_solutions(
    config: Compose, tried: Iterator[tuple[Problem, list[Candidate], list[Annotation]]], problems: Path, solutions: Path
) -> Iterator[Tried]:
    """Beside the attempts, the solutions that a set of this kind takes, as if they were attempts by its prompt."""
    if config.rows.brought is None:
        yield from (Tried(*one, []) for one in tried)
        return
    for (problem, attempts, annotations), (_, given, _) in zip(tried, joined.read(problems, solutions), strict=True):
        first = 1 + max((one.index for one in attempts), default=-1)
        wanted = [one for one in given if one.mode == config.rows.brought]
        own = [one.model_copy(update={"index": first + one.index, "mode": config.rows.mode}) for one in wanted]
        yield Tried(problem, attempts, annotations, own)


def _made(
    config: Compose,
    contest: Contest,
    collector: StatsCollector,
    read: Iterator[Tried],
    filled: "rows.ParquetWriter[PseudoLabel] | None",
) -> Iterator[tuple[Problem, TrainingRow | Dropped]]:
    """Every row that could be made, and what was left out, with its problem."""
    for problem, candidates, annotations, own in read:
        fill = missing_answers.majority_answer(problem, candidates, config.fill_majority_answer) if config.fill_majority_answer else None
        if fill and filled:
            filled.append(fill)
            problem = problem.model_copy(update={"answer": fill.answer})
        candidates = [missing_answers.apply_judgements(candidate, problem, annotations) for candidate in candidates]
        of_mode = [candidate for candidate in candidates if candidate.mode == config.rows.mode]
        collector.counts.update(problems=1, attempts=len(candidates), attempts_of_mode=len(of_mode), pseudo_labels=fill is not None)
        collector.problem(slices.pass_rate(problem, candidates, config.rows.mode))
        if own:
            collector.counts["solutions"] += len(own)
        taken = slices.taken(config.slices, problem, candidates)
        if taken is None:
            yield problem, dropped_row(config.rows.kind, problem, None, "in no slice")
            continue
        inside = {candidate.index for candidate in taken}
        for candidate in of_mode:
            if candidate.index not in inside:
                yield problem, dropped_row(config.rows.kind, problem, candidate, "in no slice")
        made_as = [(one, tool_translation.to_openmath(one)) for one in [*(one for one in of_mode if one.index in inside), *own]]
        for candidate, translated in made_as:
            if translated is None:
                yield problem, dropped_row(config.rows.kind, problem, candidate, "a call that cannot be read")
        group = AttemptGroup(problem, [new for _, new in made_as if new is not None], annotations, contest, config.seed)
        for row in config.rows.make(group):
            yield problem, row


def _limit(
    made: Path, final: Path, config: Compose, collector: StatsCollector, subsample: Subsample, dropped: "rows.ParquetWriter[Dropped]"
) -> None:
    """The rows that stay; a set that is small enough stays as it is."""
    if subsample.rows == collector.num_made:
        made.rename(final)
        return
    with rows.ParquetWriter(final, config.rows.row) as kept:
        for row in rows.read(made, config.rows.row):
            if collector.rank(row.id) <= subsample.max_rank:
                kept.append(row)
            else:
                surplus = Dropped(id=row.id, statement="", reason="more than max_rows", detail="")
                dropped.append(surplus)
                collector.drop(surplus, None)
    made.unlink()
