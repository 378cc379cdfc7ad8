"""The stage: one set per key, problem by problem, in the problems' order.

Writes into the set's folder the rows, `dropped.parquet` (every attempt or problem that was left out, and why), `filled.parquet` where a
majority answers for missing golds, and `facts.json` (the rows, described). The card lies in a folder of its own: it names
the code that made the set, and a training shall not run again because a comment changed.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from components.compose import cards, judged, majority, slices
from components.compose.kind import Group, Made, left_out
from components.compose.kinds.cot import Cot
from components.compose.kinds.distill import Distill
from components.compose.kinds.dpo import Dpo
from components.compose.kinds.genselect import GenSelect
from components.compose.kinds.grpo import Grpo
from components.compose.kinds.tir import Tir
from components.compose.majority import Majority
from components.compose.slices import Slice
from components.compose.tally import Drawn, Tally
from components.core import alongside, rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import In, Metrics, Out, write_json
from components.core.types import Candidate, Dropped, Filled, Problem, Remark
from components.lib.answers import Contest


class Compose(Config, section="compose", keyed=True):
    """One training set."""

    seed: int
    slices: list[Slice]
    """Which problems and attempts are taken at all; none named: all."""
    majority: Majority | None
    """When the attempts' majority answers for a problem without an answer; null: such a problem has no right attempts."""
    rows: Annotated[Cot | Tir | GenSelect | Dpo | Grpo | Distill, Field(discriminator="kind")]


def compose(config: Compose, contest: Contest, *, candidates: In, remarks: In, problems: In, curated: In, out: Out, card: Out) -> Metrics:
    """Turns graded attempts into the rows of one training set, and counts what was left out, and why."""
    counted = _counted(curated)
    out.mkdir(parents=True)
    tally, made = Tally(config.seed, contest), out / "made.parquet"
    with ExitStack() as files:
        dropped = files.enter_context(rows.Sealing(out / "dropped.parquet", Dropped))
        with rows.Sealing(made, config.rows.row) as kept:
            for problem, row in _made(config, contest, tally, alongside.read(problems, candidates, remarks), _filled(config, out, files)):
                if isinstance(row, Dropped):
                    dropped.append(row)
                    tally.drop(row, problem)
                else:
                    kept.append(row)
                    tally.keep(row, problem)
        if not kept.count:
            raise UserError(f"{candidates}: not one attempt is fit for the set '{config.rows.kind}'; left out: {dict(tally.left_out)}")
        drawn = tally.draw(config.rows.max_rows)
        _limit(made, out / f"{config.rows.file}.parquet", config, tally, drawn, dropped)
    facts = tally.facts(drawn)
    write_json(out / "facts.json", facts)
    settings = config.model_dump(mode="json")
    cards.write(card, cards.Card(out.name.removeprefix(".partial-"), config.rows, settings, tally, facts, counted))
    by_digits = {digits: dict(reasons) for digits, reasons in tally.by_digits.items()}
    return {"rows": drawn.rows, "dropped": dict(tally.left_out), "counts": dict(tally.counts), "by_digits": by_digits}


def _counted(curated: Path) -> dict[str, Any]:
    try:
        counted = json.loads(curated.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{curated}: not the counts that curate writes: {error}; run curate again") from None
    if not isinstance(counted, dict):
        raise UserError(f"{curated}: not the counts that curate writes: it holds {counted!r:.40}; run curate again")
    return counted


def _filled(config: Compose, out: Path, files: ExitStack) -> "rows.Sealing[Filled] | None":
    return files.enter_context(rows.Sealing(out / "filled.parquet", Filled)) if config.majority else None


def _made(
    config: Compose,
    contest: Contest,
    tally: Tally,
    read: Iterator[tuple[Problem, list[Candidate], list[Remark]]],
    filled: "rows.Sealing[Filled] | None",
) -> Iterator[tuple[Problem, Made | Dropped]]:
    """Every row that could be made, and what was left out, with its problem."""
    for problem, candidates, remarks in read:
        fill = majority.fill(problem, candidates, config.majority) if config.majority else None
        if fill and filled:
            filled.append(fill)
            problem = problem.model_copy(update={"answer": fill.answer})
        candidates = [judged.answered(candidate, problem, remarks) for candidate in candidates]
        of_mode = [candidate for candidate in candidates if candidate.mode == config.rows.mode]
        tally.counts.update(problems=1, attempts=len(candidates), attempts_of_mode=len(of_mode), filled=fill is not None)
        tally.problem(slices.pass_rate(problem, candidates, config.rows.mode))
        taken = slices.taken(config.slices, problem, candidates)
        if taken is None:
            yield problem, left_out(config.rows.kind, problem, None, "in no slice")
            continue
        inside = {candidate.index for candidate in taken}
        for candidate in of_mode:
            if candidate.index not in inside:
                yield problem, left_out(config.rows.kind, problem, candidate, "in no slice")
        group = Group(problem, [one for one in of_mode if one.index in inside], remarks, contest, config.seed)
        for row in config.rows.make(group):
            yield problem, row


def _limit(made: Path, final: Path, config: Compose, tally: Tally, drawn: Drawn, dropped: "rows.Sealing[Dropped]") -> None:
    """The rows that stay; a set that is small enough stays as it is."""
    if drawn.rows == tally.num_made:
        made.rename(final)
        return
    with rows.Sealing(final, config.rows.row) as kept:
        for row in rows.read(made, config.rows.row):
            if tally.rank(row.id) <= drawn.last:
                kept.append(row)
            else:
                surplus = Dropped(id=row.id, statement="", reason="more than max_rows", detail="")
                dropped.append(surplus)
                tally.drop(surplus, None)
    made.unlink()
