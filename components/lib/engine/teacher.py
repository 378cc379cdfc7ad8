"""An engine that knows the answers: it solves generated problems by their templates, in words or by program.

It stands where a large reasoning model stands in a full run: it fills the same attempt loop, pauses at the same stop string and reads the
output that really came back, so a program that prints something else leads it to another answer. On purpose it errs in a share of
its attempts (a number of the statement misread, an import forgotten and mended), because a filter that never meets a wrong row is no
filter. It knows problems by their id (`generated-<seed>`); of all others it says that it cannot solve them.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from random import Random
from typing import Any, Self

from components.core.params import Settings
from components.core.types import Message
from components.lib import prompts, tool_syntax
from components.lib.arithmetic import GeneratedProblem, cot_solution, misread, problem, tir_segments
from components.lib.arithmetic.solutions import final
from components.lib.engine import playback
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, EngineError, Progress, Sampling
from components.lib.engine.tokens import Tokens

FORGETS = 0.12
"""Share of the attempts with an import that forget it first: enough for a student to see what mending looks like."""
OUTPUT = re.compile(r"```output\n(.*?)\n```", re.DOTALL)
UNKNOWN = "I do not know how to solve this problem."

_given: ContextVar[int] = ContextVar("tokens that the teacher gave to this task", default=0)


class TeacherSettings(Settings):
    """Section engines.teacher."""

    step_s: float
    """Seconds that one token counts."""
    error_rate: float
    """Share of the attempts that misread a number."""
    seed: int


class TeacherEngine:
    """Continues prompts of generated problems."""

    def __init__(self, settings: TeacherSettings) -> None:
        self.name = "teacher (templates of components/lib/arithmetic)"
        self.step_s: float | None = settings.step_s
        self._settings = settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def announce(self) -> AbstractContextManager[None]:
        """Nothing waits for anything here."""
        return nullcontext()

    async def turn(self, key: str) -> None:
        pass

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        """The contents, one after another: the teacher has no chat template."""
        return Tokens("\n".join(message.content for message in messages) + "\n")

    def encode(self, text: str) -> Tokens:
        return Tokens(text)

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        """The next piece of the solution: up to the end of a tool call, or to the end. `seed` is not used: the key decides."""
        text = self._reply(prompt.text, key)
        stop = tool_syntax.OPENMATH.end
        if text.endswith(stop) and stop not in sampling.stop:
            raise EngineError(f"{self.name}: asked for a program ({key}), but {stop!r} is not among the stop strings {sampling.stop}")
        completion = playback.truncated(playback.tokenised(text), sampling)
        _given.set(_given.get() + completion.num_tokens)
        if progress:
            progress(completion.text, completion.num_tokens)
        return completion

    def now(self) -> float:
        """Seconds per token times the tokens that the calling task was given.

        Every task has a clock of its own, as if all attempts were answered side by side: a common count would depend on whose code ran
        faster, and no two runs would give equal rows.
        """
        return self._settings.step_s * _given.get()

    def _reply(self, prompt: str, key: str) -> str:
        name, index, _ = key.rsplit("/", 2)
        number = name.removeprefix("generated-")
        if number == name or not number.isdigit():
            return UNKNOWN
        drawn = problem(int(number))
        mode, asked = self._asked(drawn, prompt, key)
        rng = Random(f"{self._settings.seed}/{name}/{index}")
        slips, forgets = rng.random() < self._settings.error_rate, rng.random() < FORGETS
        solved = misread(drawn, rng) if slips else drawn
        return cot_solution(solved) if mode == "cot" else _next_piece(solved, forgets, OUTPUT.findall(prompt, asked))

    def _asked(self, drawn: GeneratedProblem, prompt: str, key: str) -> tuple[str, int]:
        """Which prompt this is, and where it ends; raises EngineError where it asks something else than the id says."""
        for mode in ("cot", "tir"):
            request = prompts.render(mode, statement=drawn.statement)
            at = prompt.find(request)
            if at >= 0:
                return mode, at + len(request)
        raise EngineError(
            f"{self.name}: the prompt of {key} does not ask {drawn.statement!r} by prompts/cot.md or prompts/tir.md; "
            "its problem was generated by another version of components/lib/arithmetic, or asked by another prompt"
        )


def _next_piece(drawn: GeneratedProblem, forgets: bool, outputs: Sequence[str]) -> str:
    """The cell after the last output, or the answer that the last output gives."""
    parts = tir_segments(drawn, forgets)
    if len(outputs) < len(parts.cells):
        return (parts.thought if not outputs else "") + parts.cells[len(outputs)]
    printed = outputs[-1].strip()
    return final(printed) if re.fullmatch(r"-?\d+", printed) else UNKNOWN
