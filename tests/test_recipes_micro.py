"""Every recipe for real at micro size: a model with random weights, the sandbox, the stages solve and vote. Numbers of tokens are cut down.

What such a model says is noise, so nothing is asked of its answers; `pytest -rP` shows the table of what happened.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.types import Candidate, Check, Judgement, Problem, QuestionRecord, Vote
from components.lib.answers import Contest
from components.lib.engine.config import Engines
from components.lib.rules import length_model
from components.lib.sandbox.local import SandboxConfig
from components.lib.votes.config import VoteConfig
from components.solve.exam_run import Solve
from components.solve.stage import solve
from components.vote.stage import vote
from flows.recipes import EXAM
from tests import model_fixtures
from tests.question_fixtures import CAPACITY, HOSTS
from tests.recipe_fixtures import RECIPES, params
from tests.row_fixtures import candidate, problem

MOST_TOKENS = 40
SCALE = 4
"""Depths and budgets of the recipes for the tiny model, of up to 160 tokens, are cut to this part."""
SCALED = {"depth", "depths", "think_tokens", "program_tokens", "box_tokens", "low", "high"}
POSITIONS = 2048
"""A character is a token here, and a prompt may show a thought and a program."""
ASKED = [problem("p", 7), problem("q", 12, statement="How many edges has a cube?")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model, problems, a length model, no judgements and no checks."""
    folder = tmp_path_factory.mktemp("micro")
    model_fixtures.make(folder / "model", POSITIONS)
    rows.write(folder / "problems.parquet", ASKED, Problem)
    rows.write(folder / "judgements.parquet", [], Judgement)
    rows.write(folder / "checks.parquet", [], Check)
    known = [problem(f"p{n}", statement=f"{'What' if n % 2 else 'How many'} {n}?") for n in range(12)]
    length_model.train(known, [candidate(name=one.id, num_tokens=20 + n) for n, one in enumerate(known)]).save(folder / "length.json")
    return folder


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    print("", f"{'recipe':22}{'attempts':>9}{'runs':>6}{'tokens':>8}{'seconds':>9}  stopped by, answer", *lines, sep="\n")


def small(setting: Any, name: str = "") -> Any:
    """A recipe's setting with its numbers of tokens scaled down."""
    if isinstance(setting, dict):
        return {key: small(value, key) for key, value in setting.items()}
    if name == "rounds":
        return [[keep, depth // SCALE] for keep, depth in setting]
    if name in SCALED:
        return [value // SCALE for value in setting] if isinstance(setting, list) else setting // SCALE
    return setting


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe != "paper"])  # 8 attempts, none of which such a model ends
def test_a_recipe_sits_a_small_exam_and_votes(recipe: str, home: Path, table: list[str], tmp_path: Path) -> None:
    whole = params("micro", recipe)
    exam = {**whole["solve"]["common"], **whole["solve"][EXAM]}
    clock = {**small(exam["time_budget"]), **({"model": str(home / "length.json")} if "model" in exam["time_budget"] else {})}
    config = Solve.model_validate({**exam, "plan": small(exam["plan"]), "time_budget": clock, "max_tokens": MOST_TOKENS})
    engines, sandbox, contest = (kind.model_validate(whole[kind.section]) for kind in (Engines, SandboxConfig, Contest))
    candidates, questions, began = tmp_path / "candidates.parquet", tmp_path / "questions.parquet", time.monotonic()
    told = solve(
        config, engines, sandbox, contest, HOSTS, CAPACITY,
        problems=home / "problems.parquet", model=home / "model", out=candidates, questions=questions, work=tmp_path,
    )  # fmt: skip
    cast = vote(
        VoteConfig.model_validate(whole["vote"]), candidates=candidates, questions=questions, judgements=home / "judgements.parquet",
        checks=home / "checks.parquet", problems=home / "problems.parquet", out=tmp_path / "votes.parquet",
    )  # fmt: skip
    made, records = list(rows.read(candidates, Candidate)), list(rows.read(questions, QuestionRecord))
    own = [one for one in rows.read(tmp_path / "votes.parquet", Vote) if one.strategy == whole["vote"]["strategies"][0]]
    table.append(
        f"{recipe:22}{len(made):9}{sum(len(one.runs) for one in made):6}{told['tokens']:8}{time.monotonic() - began:9.1f}  "
        + ", ".join(f"{question.stopped_by or '-'}: {one.answer}" for question, one in zip(records, own, strict=True))
    )
    assert [one.problem for one in own] == [question.problem for question in records] == ["p", "q"] and cast["problems"] == 2
    assert {one.problem for one in made} == {"p", "q"} and told["tokens"] > 0
    assert {one.mode for one in made} <= set(config.plan.prompts)
    assert all(one.num_tokens <= MOST_TOKENS for one in made)
    assert all(one.num_tokens and one.entropies for one in made if one.finish_reason != "cancelled")
