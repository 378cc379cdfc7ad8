"""The stage: one set per key, problem by problem, in the problems' order."""

import hashlib
import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from components.compose import selections, solutions
from components.core import rows
from components.core.errors import UserError
from components.core.params import Config, Settings
from components.core.runner import In, Metrics, Out
from components.core.types import Candidate, Dropped, Example, Problem

Row = Example | Dropped
Maker = Callable[[Problem, Sequence[Candidate]], Iterator[Row]]


class Cot(Settings):
    """Right chain-of-thought solutions."""

    kind: Literal["cot"]
    max_rows: int


class Tir(Settings):
    """Right tool-integrated solutions: code that ran."""

    kind: Literal["tir"]
    max_rows: int
    max_runs: int
    """Code blocks a row may have."""


class GenSelect(Settings):
    """Selections among candidates."""

    kind: Literal["genselect"]
    max_rows: int
    prompt: str
    """The prompt file's name, the judge's own."""
    instances: int
    """Distinct instances per problem."""
    max_shown: int
    rehearse: int
    """Right solutions per problem added as they are, so that the model does not forget how to solve."""


class Compose(Config, section="compose", keyed=True):
    """One training set."""

    seed: int
    rows: Annotated[Cot | Tir | GenSelect, Field(discriminator="kind")]


def compose(config: Compose, *, candidates: In, problems: In, out: Out) -> Metrics:
    """Turns graded candidates into training rows and counts what was left out, and why."""
    make = _maker(config)
    chosen = _choose(config, candidates, problems, make)
    if not chosen:
        raise UserError(
            f"{candidates}: not one candidate is fit for the set '{config.rows.kind}'; see the sitting's metrics for how they ended"
        )
    left_out: Counter[str] = Counter()

    def kept() -> Iterator[Example]:
        for row in _made(candidates, problems, make):
            if isinstance(row, Example) and row.id in chosen:
                yield row

    def dropped() -> Iterator[Dropped]:
        for row in _made(candidates, problems, make):
            if isinstance(row, Example) and row.id in chosen:
                continue
            surplus = Dropped(id=row.id, statement="", reason="more than max_rows", detail="") if isinstance(row, Example) else row
            left_out[surplus.reason] += 1
            yield surplus

    out.mkdir(parents=True)
    num = rows.write(out / "examples.parquet", kept(), Example)
    rows.write(out / "dropped.parquet", dropped(), Dropped)
    return {"rows": num, "dropped": left_out}


def _choose(config: Compose, candidates: Path, problems: Path, make: Maker) -> set[str]:
    """The ids of at most max_rows rows, drawn by hash, so that a row's fate hangs on no other row's text."""
    ids = (row.id for row in _made(candidates, problems, make) if isinstance(row, Example))
    ranked = ((hashlib.sha256(f"{config.seed}/{name}".encode()).digest(), name) for name in ids)
    return {name for _, name in heapq.nsmallest(config.rows.max_rows, ranked)}


def _made(candidates: Path, problems: Path, make: Maker) -> Iterator[Row]:
    """Every row that could be made. Both files are in the problems' order."""
    groups = itertools.groupby(rows.read(candidates, Candidate), key=lambda candidate: candidate.problem)
    pending = next(groups, None)
    for problem in rows.read(problems, Problem):
        if pending is not None and pending[0] == problem.id:
            yield from make(problem, list(pending[1]))
            pending = next(groups, None)
    if pending is not None:
        raise UserError(
            f"{candidates}: problem '{pending[0]}' is not in {problems}, or the two are not in one order; run the sitting again"
        )


def _maker(config: Compose) -> Maker:
    wanted = config.rows
    if isinstance(wanted, GenSelect):
        return lambda problem, candidates: _selections(problem, candidates, wanted, config.seed)
    max_runs = wanted.max_runs if isinstance(wanted, Tir) else 0
    return lambda problem, candidates: _solutions(problem, candidates, wanted.kind, max_runs)


def _solutions(problem: Problem, candidates: Sequence[Candidate], kind: str, max_runs: int) -> Iterator[Row]:
    seen = set()
    for candidate in candidates:
        if candidate.mode != kind:
            continue
        tir = kind == "tir"
        reason = solutions.refuse_tir(problem, candidate, max_runs) if tir else solutions.refuse_cot(problem, candidate)
        if reason is None and candidate.text in seen:
            reason = "same text"
        seen.add(candidate.text)
        if reason:
            yield Dropped(
                id=f"{kind}/{candidate.problem}/{candidate.index}", statement=problem.statement, reason=reason, detail=candidate.text
            )
        else:
            yield solutions.example(kind, problem, candidate)


def _selections(problem: Problem, candidates: Sequence[Candidate], wanted: GenSelect, seed: int) -> Iterator[Row]:
    reason = selections.refuse(problem, candidates)
    if reason:
        yield Dropped(id=f"genselect/{problem.id}", statement=problem.statement, reason=reason, detail="")
    else:
        yield from selections.instances(problem, candidates, wanted.prompt, wanted.instances, wanted.max_shown, seed)
    right = [row for row in _solutions(problem, candidates, "tir", max_runs=64) if isinstance(row, Example)]
    yield from right[: wanted.rehearse]
