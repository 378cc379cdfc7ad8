"""One question's run, answered by recorded replies: what tests of attempts, plans and recipes share.

Replies are keyed "p/<attempt>/<turn>". The clock is simulated: a word counts as a token and a token as `STEP_S` seconds.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from components.core.params import PARAMS, read
from components.core.types import Candidate
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.rules.time_budget import QuestionBudget
from components.lib.sandbox.local import LocalSandbox, SandboxCapacity, SandboxConfig
from components.lib.sandbox.protocol import PLAIN, Isolation, OutputForm, Session
from components.solve.exam_run import Solve, attempt_params
from components.solve.question_run import QuestionRun
from tests.row_fixtures import problem

CONTEST = Contest(low=0, high=999, modulus=1000)
SANDBOX = SandboxConfig(timeout_s=5.0, interrupt=True, memory_mb=1024, output_chars=200, allow_weak=False)
CAPACITY = SandboxCapacity(max_sessions=256)
HOSTS = EngineHosts.load(Path(__file__).parents[1])
STEP_S = 0.02


class LazySandbox:
    """The sandbox of this machine, opened when the first code wants to run: most tests run none, and opening takes two seconds."""

    isolation: Isolation = "weak"

    async def __aenter__(self) -> "LazySandbox":
        self._stack = AsyncExitStack()
        self._box: LocalSandbox | None = None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def session(self, seed: int, continues: bool = False, form: OutputForm = PLAIN) -> Session:
        if self._box is None:
            self._box = await self._stack.enter_async_context(LocalSandbox(SANDBOX, CAPACITY.max_sessions, warm=False))
        return await self._box.session(seed, continues, form)


def settings(**over: object) -> Solve:
    """Section solve of params.yaml, its fields replaced by `over`."""
    common = read(PARAMS)["solve"]["common"]
    return Solve.model_validate({**common, "max_executions": 2, "max_tokens": 1000, "logprobs": 0, "early_stopping": [], **over})


def fixed(**attempts: int) -> dict[str, Any]:
    """The plan {cot: 8} as params.yaml writes it."""
    return {"kind": "fixed", "attempts": [[prompt, count] for prompt, count in attempts.items()], "interleave": False}


def words(count: int, then: str = "") -> str:
    """A text of so many tokens, and `then` after them."""
    return " so" * count + then


def recorded(folder: Path, replies: Mapping[str, str]) -> Path:
    """A file of replies for the scripted engine."""
    file = folder / "replies.jsonl"
    file.write_text("".join(json.dumps({"key": key, "reply": reply}) + "\n" for key, reply in replies.items()), encoding="utf-8")
    return file


def run_question(
    folder: Path, replies: Mapping[str, str], config: Solve, budget: QuestionBudget | None = None, contest: Contest = CONTEST
) -> QuestionRun:
    """The question's run after its end."""
    file = recorded(folder, replies)

    async def run() -> QuestionRun:
        async with ScriptedEngine(ScriptedSettings(step_s=STEP_S), file) as engine, LazySandbox() as box:
            question = QuestionRun(
                problem(), attempt_params(config, contest, file), config.early_stopping, engine, box, budget or QuestionBudget(1e6)
            )
            await config.plan.sample(question)
            await question.close()
            return question

    return asyncio.run(run())


def run_attempts(
    folder: Path, replies: Mapping[str, str], plan: Mapping[str, Any], limit_s: float = 1e6, **over: object
) -> Sequence[Candidate]:
    """The rows of one question."""
    return run_question(folder, replies, settings(plan=plan, **over), QuestionBudget(limit_s)).candidates()
