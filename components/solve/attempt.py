"""One attempt at one problem: generate until a code block ends, run it, show the output, go on; until an answer or a limit.

The rules are NeMo-Skills' (nemo_skills/inference/model/code_execution.py): `max_executions` + 1 generations, so that text always
follows the last call; generated tokens are charged, code output is not; code runs only where the text ends with the end of a code
block. An attempt knows its own question's deadline, not the other attempts.
"""

import asyncio
import hashlib
from typing import Literal

from components.core.types import Candidate, CodeRun, Problem
from components.lib import answers, tool_syntax
from components.lib.engine.protocol import Engine, Sampling
from components.lib.sandbox.protocol import Sandbox, Session


class Attempt:
    """The state of one attempt; `candidate` turns it into a row at any moment."""

    def __init__(self, problem: Problem, index: int, mode: str, prompt: str, seed: int) -> None:
        self.problem, self.index, self.mode, self.prompt, self.seed = problem, index, mode, prompt, seed
        self.text = ""
        self.runs: list[CodeRun] = []
        self.num_tokens = 0
        self.ended: Literal["stop", "length", "time", "cancelled"] = "cancelled"
        self._partial = ("", 0)
        self._said = (0, 0)

    async def go(self, engine: Engine, box: Sandbox, sampling: Sampling, max_executions: int, deadline: float) -> None:
        """Runs the attempt to its end. Cancelling it keeps what was generated up to then."""
        session: Session | None = None
        try:
            for turn in range(max_executions + 1):
                code = await self._generate(engine, sampling, turn, deadline)
                if code is None or turn == max_executions:
                    return
                session = session or await box.session(seed=_seed(self.seed, self.problem.id, self.index))
                run = await session.run(code)
                self.runs.append(run)
                self.text += tool_syntax.output_block(run.output)
        except asyncio.CancelledError:
            self._keep_partial()
            raise
        finally:
            if session is not None:
                await session.close()

    async def _generate(self, engine: Engine, sampling: Sampling, turn: int, deadline: float) -> str | None:
        """One generation; the code it asks to run, or None when the attempt is over (`ended` then says how)."""
        left = deadline - engine.now()
        budget = sampling.max_tokens - self.num_tokens
        affordable = budget if engine.step_s is None else min(budget, int(left / engine.step_s))
        if left <= 0 or affordable <= 0:
            self.ended = "length" if budget <= 0 else "time"
            return None
        self._partial = ("", 0)
        try:
            async with asyncio.timeout(left if engine.step_s is None else None):
                completion = await engine.complete(
                    self.prompt + self.text,
                    sampling._replace(max_tokens=affordable),
                    key=f"{self.problem.id}/{self.index}/{turn}",
                    seed=_seed(self.seed, self.problem.id, self.index, turn),
                    progress=self._progress,
                )
        except TimeoutError:
            self._keep_partial()
            self.ended = "time"
            return None
        self.text += completion.text
        self.num_tokens += completion.num_tokens
        self._said = (len(self.text), len(self.runs))
        self._partial = ("", 0)
        if completion.ended == "length":
            self.ended = "length" if affordable == budget else "time"
            return None
        self.ended = "stop"
        return tool_syntax.last_code(completion.text) if completion.stop == tool_syntax.END else None

    def _progress(self, text: str, num_tokens: int) -> None:
        self._partial = (text, num_tokens)

    def _keep_partial(self) -> None:
        """Keeps what was generated. Output that no generation has read yet is dropped: how fast the code ran must not show."""
        text, num_tokens = self._partial
        if not text:
            self.text, self.runs = self.text[: self._said[0]], self.runs[: self._said[1]]
        self.text += text
        self.num_tokens += num_tokens
        self.ended = "cancelled"

    def candidate(self, contest: answers.Contest, seconds: float, rank: int | None, isolation: str) -> Candidate:
        """The row. A cancelled attempt abstains and ends with what was last generated, whatever its code printed after that."""
        cancelled = self.ended == "cancelled"
        reading = answers.Reading(None, "cancelled", None, False) if cancelled else answers.read(self.text, contest)
        return Candidate(
            problem=self.problem.id,
            index=self.index,
            mode=self.mode,
            text=self.text,
            answer=reading.answer,
            abstained=reading.reason,
            runs=tuple(self.runs),
            num_tokens=self.num_tokens,
            seconds=round(seconds, 3),
            ended=self.ended,
            seed=self.seed,
            rank=rank,
            isolation=isolation,
        )


def _seed(*parts: object) -> int:
    """A seed of 63 bits from the run's seed and the names of what is drawn."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
