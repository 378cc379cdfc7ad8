"""One attempt at one problem: generate until a code block ends, run it, show the output, go on; until an answer or a limit.

The rules are NeMo-Skills' (nemo_skills/inference/model/code_execution.py): `max_executions` + 1 generations, so that text always
follows the last call; generated tokens are charged, code output is not; code runs only where the text ends with the end of a code
block. An attempt may begin with another one's text (plans that branch) and may be taken up again after a first budget. It knows its own
question's deadline, not the other attempts.
"""

import asyncio
import hashlib
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

from components.core.types import Candidate, CodeRun, Problem
from components.lib import answers, tool_syntax
from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.prompts import render
from components.lib.sandbox.protocol import Sandbox, Session
from components.solve import ends

WINDOW = 32
"""Tokens over which a stored entropy is the mean."""


class Manner(NamedTuple):
    """How attempts are made, the same for all of a question unless its plan says otherwise."""

    sampling: Sampling
    """`max_tokens`: of one attempt in all, what it inherited included. `stop` and `until` are filled in from the fields below."""
    max_executions: int
    notice: bool
    """Whether the model is told after each output how many code runs are left."""
    syntax: tool_syntax.Syntax
    ends: tuple[ends.End, ...]
    prefer: answers.Prefer
    contest: answers.Contest
    seed: int


class Read(NamedTuple):
    """The answers of an attempt."""

    boxed: answers.Reading
    printed: answers.Reading
    chosen: answers.Reading
    """The one that it votes for."""


class Attempt:
    """The state of one attempt; `candidate` turns it into a row at any moment."""

    def __init__(self, problem: Problem, index: int, mode: str, prompt: str, text: str = "", parent: "Attempt | None" = None) -> None:
        """`text` is put into its mouth. `parent`: what it was made from, for the record."""
        self.problem, self.index, self.mode, self.prompt, self.text, self.parent = problem, index, mode, prompt, text, parent
        self.runs: list[CodeRun] = []
        self.inherited = 0
        """Tokens of its text that its parent generated."""
        self.num_tokens = 0
        self.entropies: list[float] = []
        self.ended: Literal["stop", "length", "time", "repetition", "cancelled"] = "cancelled"
        self._turn = 0
        self._partial = ("", 0)
        self._seen = (len(text), 0)
        self._session: Session | None = None

    def branch(self, index: int, text: str = "") -> "Attempt":
        """Another attempt that goes on from what this one said, and from `text` after it."""
        child = Attempt(self.problem, index, self.mode, self.prompt, self.text + text, self)
        child.runs, child.entropies, child.inherited = list(self.runs), list(self.entropies), self.depth
        child._seen = (len(child.text), len(child.runs))
        return child

    @property
    def depth(self) -> int:
        """Generated tokens of its text."""
        return self.inherited + self.num_tokens

    @property
    def _key(self) -> str:
        """Names its next request."""
        return f"{self.problem.id}/{self.index}/{self._turn}"

    async def go(self, engine: Engine, box: Sandbox, manner: Manner, deadline: float) -> None:
        """Runs the attempt to its end or to the token budget. Cancelling it keeps what was generated up to then."""
        try:
            while await self._generate(engine, manner, deadline):
                code = tool_syntax.last_code(self.text, manner.syntax)
                if code is None:
                    continue  # another block ended
                if len(self.runs) >= manner.max_executions:
                    return
                await self._execute(code, box, manner)
                if self._enough(manner):
                    await engine.turn(self._key)  # else those whose code is quicker would end first
                    return
        except asyncio.CancelledError:
            self._keep_partial()
            raise

    async def close(self) -> None:
        """Gives its sandbox session back."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _execute(self, code: str, box: Sandbox, manner: Manner) -> None:
        if self._session is None:
            seed = _seed(manner.seed, self.problem.id, self.index)
            self._session = await box.session(seed, continues=bool(self.runs))  # a parent's variables are not there, and it says so
        run = await self._session.run(code)
        self.runs.append(run)
        self.text += tool_syntax.output_block(run.output, manner.syntax)
        if manner.notice:
            left = manner.max_executions - len(self.runs)
            self.text += f"\n```system\n{render('budget', remaining=left) if left else render('budget-spent')}\n```\n"

    async def _generate(self, engine: Engine, manner: Manner, deadline: float) -> bool:
        """One generation; whether it ended with a code block. If not, the attempt is over, and `ended` says how."""
        left = deadline - engine.now()
        budget = manner.sampling.max_tokens - self.depth
        affordable = budget if engine.step_s is None else min(budget, int(left / engine.step_s))
        if left <= 0 or affordable <= 0:
            self.ended = "length" if budget <= 0 else "time"
            return False
        self._partial = ("", 0)
        try:
            async with asyncio.timeout(left if engine.step_s is None else None):
                completion = await engine.complete(
                    self.prompt + self.text,
                    manner.sampling._replace(
                        max_tokens=affordable, stop=(manner.syntax.end, *ends.stops(manner.ends)), until=ends.untils(manner.ends)
                    ),
                    key=self._key,
                    seed=_seed(manner.seed, self.problem.id, self.index, self._turn),
                    progress=self._progress,
                )
        except TimeoutError:
            self._keep_partial()
            self.ended = "time"
            return False
        self._keep(completion)
        if completion.ended == "length":
            self.ended = "length" if affordable == budget else "time"
            return False
        self.ended = "repetition" if completion.stop == "repetition" else "stop"
        return completion.stop == manner.syntax.end

    def _enough(self, manner: Manner) -> bool:
        """Whether what its code did ends it."""
        printed = "printed" in manner.ends and answers.printed(self.runs, manner.contest).answer is not None
        failed = "failed" in manner.ends and self.runs[-1].status != "ok"
        return printed or failed or "ran" in manner.ends

    def _keep(self, completion: Completion) -> None:
        self._turn += 1
        self.text += completion.text
        self.num_tokens += completion.num_tokens
        self.entropies += completion.entropies
        self._seen = (len(self.text), len(self.runs))
        self._partial = ("", 0)

    def _progress(self, text: str, num_tokens: int) -> None:
        self._partial = (text, num_tokens)

    def _keep_partial(self) -> None:
        """Keeps what was generated. Output that no generation has read yet is dropped: how fast the code ran must not show."""
        text, num_tokens = self._partial
        if not text:
            self.text, self.runs = self.text[: self._seen[0]], self.runs[: self._seen[1]]
        self.text += text
        self.num_tokens += num_tokens
        self._partial = ("", 0)
        self.ended = "cancelled"

    def read(self, manner: Manner) -> Read:
        """What it says by now. A cancelled attempt abstains, whatever its code printed after it was cancelled."""
        if self.ended == "cancelled":
            none = answers.Reading(None, "cancelled", None, False)
            return Read(none, none, none)
        boxed, printed = answers.read(self.text, manner.contest), answers.printed(self.runs, manner.contest)
        return Read(boxed, printed, answers.choose(boxed, printed, manner.prefer))

    def candidate(self, manner: Manner, seconds: float, rank: int | None, isolation: str) -> Candidate:
        """The row; it ends with what was last generated."""
        boxed, printed, reading = self.read(manner)
        return Candidate(
            problem=self.problem.id,
            index=self.index,
            mode=self.mode,
            text=self.text,
            answer=reading.answer,
            abstained=reading.reason,
            boxed=boxed.answer,
            printed=printed.answer,
            runs=tuple(self.runs),
            num_tokens=self.num_tokens,
            entropies=windows(self.entropies),
            seconds=round(seconds, 3),
            ended=self.ended,
            seed=manner.seed,
            rank=rank,
            isolation=isolation,
            parent=self.parent.index if self.parent else None,
        )


def windows(entropies: Sequence[float]) -> tuple[float, ...]:
    """Means over successive windows, the last one perhaps shorter; four decimals."""
    parts = (entropies[begin : begin + WINDOW] for begin in range(0, len(entropies), WINDOW))
    return tuple(round(statistics.fmean(window), 4) for window in parts)


def _seed(*parts: object) -> int:
    """A seed of 63 bits from the run's seed and the names of what is drawn."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
