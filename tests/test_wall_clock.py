"""A question by the wall clock: its deadline bounds code, its exits act at their time, and nothing of it waits for an attempt to end."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.lib.rules.stopping_rules import Exit, Exits
from components.lib.rules.time_budget import QuestionBudget
from components.solve.exam_run import attempt_params
from components.solve.question_run import QuestionRun
from tests import model_fixtures
from tests.question_fixtures import CONTEST, LazySandbox, fixed, settings
from tests.row_fixtures import problem
from tests.server_fixtures import Fake, Fault, engine, piece

SLEEPS = "<tool_call>\nimport time\ntime.sleep(15)\nprint(7)\n</tool_call>"
BOXED = piece("\\boxed{7}", "stop", 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


def run(model: Path, fake: Fake, limit_s: float, attempts: int, rules: Sequence[Exits] = ()) -> QuestionRun:
    config = settings(plan=fixed(cot=attempts))

    async def scene() -> QuestionRun:
        async with fake as url, engine(model, url, step_s=None, max_model_len=4096) as opened, LazySandbox() as box:
            await (await box.session(1)).close()  # opened before the clock runs
            question = QuestionRun(problem(), attempt_params(config, CONTEST, model), rules, opened, box, QuestionBudget(limit_s))
            await config.plan.sample(question)
            await question.close()
            return question

    return asyncio.run(scene())


def test_code_is_over_when_its_question_is(model: Path) -> None:
    question = run(model, Fake([piece(SLEEPS, "stop", 9, stop_reason="</tool_call>")]), limit_s=2.0, attempts=1)
    (candidate,) = question.candidates()
    assert (candidate.finish_reason, candidate.runs, candidate.text) == ("time", (), SLEEPS)
    assert 2.0 <= question.spent_s < 8.0


def test_an_exit_acts_when_its_time_has_come_not_when_an_attempt_ends(model: Path) -> None:
    """Two of three have answered at once; the third is silent for ever."""
    exits = Exits(kind="exits", exits=[Exit(after_s=0.2, answers=3), Exit(after_s=1.0, answers=2), Exit(after_s=60.0, answers=1)])
    question = run(model, Fake([BOXED], faults=[Fault([piece("so", tokens=1)], silent=True)]), limit_s=300.0, attempts=3, rules=[exits])
    assert [candidate.finish_reason for candidate in question.candidates()].count("cancelled") == 1
    assert [candidate.answer for candidate in question.candidates()].count(7) == 2
    assert question.stopped_by is not None and 1.0 <= question.spent_s < 20.0


def test_before_its_time_an_exit_waits(model: Path) -> None:
    exits = Exits(kind="exits", exits=[Exit(after_s=50.0, answers=1)])
    question = run(model, Fake([BOXED]), limit_s=300.0, attempts=2, rules=[exits])
    assert [candidate.answer for candidate in question.candidates()] == [7, 7] and question.stopped_by is None
    assert question.spent_s < 40.0, "nor does a question wait for its exits"
