"""Recipes as they would be written into params.yaml: what their tests share."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from components.core import overlays
from components.core.types import Candidate
from components.lib.answers import Contest
from components.lib.rules.early_stopping import check
from components.lib.rules.tally import Tally
from components.lib.votes.ballot import Ballot, decide
from components.lib.votes.config import VoteConfig
from components.solve.exam_run import Solve
from components.solve.question_run import QuestionRun
from flows.recipes import EXAM
from tests.question_fixtures import words
from tests.row_fixtures import candidate

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.stem for path in (ROOT / overlays.RECIPES).glob("*.yaml"))


@cache
def params(*names: str) -> dict[str, Any]:
    """All of params.yaml after `aimo use NAMES`; nobody changes it."""
    return overlays.merged(names, ROOT).params


def exam(recipe: str, profile: str = "14b", **over: object) -> Solve:
    """The run that the recipe rules, with the original's numbers unless the profile is a small one."""
    return Solve.model_validate({**params(profile, recipe)["solve"]["common"], **params(profile, recipe)["solve"][EXAM], **over})


def votes(recipe: str) -> VoteConfig:
    return VoteConfig.model_validate(params("14b", recipe)["vote"])


def contest(recipe: str) -> Contest:
    return Contest.model_validate(params("14b", recipe)["contest"])


def said(*answers: int | None, step: int = 10) -> dict[str, str]:
    """Attempts that finish one after the other with these boxes; None has no box."""
    boxes = ("" if answer is None else f" \\boxed{{{answer}}}" for answer in answers)
    return {f"p/{place}/0": words(step * (place + 1), box) for place, box in enumerate(boxes)}


def stopped(config: Solve, answers: Sequence[int | None], planned: int) -> str | None:
    """The rule that holds after the last of these events."""
    over = check(config.early_stopping, Tally.of(answers, list(range(len(answers))), planned))
    return config.early_stopping[over.rule].kind if over else None


def ended_by(question: QuestionRun) -> str | None:
    return question.rules[question.stopped_by.rule].kind if question.stopped_by else None


def chosen(recipe: str, *made: Candidate, late: bool = False) -> int | None:
    """The answer of the recipe's own vote."""
    numbers = votes(recipe)
    return decide(Ballot("p", made, [], [], numbers, late), numbers.strategies[0], gold=0).answer


def spoke(*answers: int, **fields: Any) -> list[Candidate]:
    return [candidate(answer, index=index, **fields) for index, answer in enumerate(answers)]
