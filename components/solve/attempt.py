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
from components.lib import answers, tool_calls, tool_syntax
from components.lib.code_budget import CodeBudget
from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.engine.tokens import Tokens
from components.lib.prompts import render
from components.lib.sandbox.protocol import Sandbox, Session
from components.solve.reply import Reply
from components.solve.stop_conditions import StopConditionName, engine_conditions, stop_strings

ENTROPY_WINDOW = 32
"""Tokens over which a stored entropy is the mean."""


class AttemptParams(NamedTuple):
    """How attempts are made, the same for all of a question unless its plan says otherwise."""

    sampling: Sampling
    """`max_tokens`: of one attempt in all, what it inherited included. `stop` and `stop_conditions` are filled in from the fields below."""
    max_executions: int
    code_budget: CodeBudget | None
    """Draws `max_executions` for each attempt whose prompt names it."""
    show_remaining_executions: bool
    """Whether the model is told after each output how many code runs are left."""
    syntax: tool_syntax.Syntax
    stop_conditions: tuple[StopConditionName, ...]
    answer_source: answers.AnswerSource
    contest: answers.Contest
    seed: int
    preamble: str = ""
    """Put before each program."""

    @property
    def call_opening(self) -> str:
        """What opens a call in the syntax of this run, for a reply that is begun with a program."""
        opened = self.syntax.begin
        return opened if opened.endswith("\n") else opened + "\n"

    def for_one_program(self, temperature: float | None = None) -> "AttemptParams":
        """The same parameters, for attempts that end when their first program ran."""
        sampling = self.sampling if temperature is None else self.sampling._replace(temperature=temperature)
        return self._replace(stop_conditions=(*self.stop_conditions, "ran"), sampling=sampling)


class ExtractedAnswers(NamedTuple):
    """The answers of an attempt."""

    boxed: answers.ParsedAnswer
    printed: answers.ParsedAnswer
    chosen: answers.ParsedAnswer
    """The one that it votes for."""


class Attempt:
    """The state of one attempt; `candidate` turns it into a row at any moment."""

    def __init__(self, problem: Problem, index: int, mode: str, prompt: Tokens, parent: "Attempt | None" = None) -> None:
        """`parent`: what it was made from, for the record."""
        self.problem, self.index, self.mode, self.prompt, self.parent = problem, index, mode, prompt, parent
        self.reply = Reply()
        self.runs: list[CodeRun] = []
        self.inherited = 0
        """Tokens of its text that its parent generated."""
        self.num_tokens = 0
        self.entropies: list[float] = []
        self.finish_reason: Literal["stop", "length", "time", "repetition", "cancelled"] = "cancelled"
        self._turn = 0
        self._turn_ended = False
        """Whether its model ended its last generation, rather than a stop string."""
        self._partial = ("", 0)
        self._seen = (self.reply, 0)
        self._session: Session | None = None

    @property
    def text(self) -> str:
        return self.reply.tokens.text

    def branch(self, index: int) -> "Attempt":
        """Another attempt that goes on from what this one said."""
        child = Attempt(self.problem, index, self.mode, self.prompt, self)
        child.runs, child.entropies, child.inherited = list(self.runs), list(self.entropies), self.num_context_tokens
        child.reply, child._seen = self.reply, (self.reply, len(child.runs))
        return child

    def begin(self, more: Tokens) -> None:
        """Puts this into its mouth, before its next generation."""
        if more.text:
            self.reply = self.reply.put_in(more, output=False)
            self._seen = (self.reply, len(self.runs))

    @property
    def num_context_tokens(self) -> int:
        """Generated tokens of its text."""
        return self.inherited + self.num_tokens

    @property
    def _key(self) -> str:
        """Names its next request."""
        return f"{self.problem.id}/{self.index}/{self._turn}"

    async def go(self, engine: Engine, box: Sandbox, params: AttemptParams, deadline: float) -> None:
        """Runs the attempt to its end or to the token budget. Cancelling it keeps what was generated up to then."""
        try:
            while await self._generate(engine, params, deadline):
                call = tool_calls.last_call(self._since_output(params), params.syntax, ended=self._turn_ended)
                if call is None and not self._turn_ended:
                    continue  # another block ended
                if call is None or len(self.runs) >= params.max_executions:
                    return
                try:
                    async with asyncio.timeout(deadline - engine.now() if engine.step_s is None else None):
                        shown = await self._execute(call, box, params)
                except TimeoutError:  # its session is killed, and what it printed is not read
                    self.finish_reason = "time"
                    return
                self.reply = self.reply.put_in(engine.encode(shown), output=True)
                if self._code_ends_it(params):
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

    def _since_output(self, params: AttemptParams) -> str:
        """What it said since code last printed; where the prompt opened a call, the reply begins inside it."""
        outputs = [span.end for span in self.reply.inserted if span.output]
        return self.text[outputs[-1] :] if outputs else tool_calls.opened_by(self.prompt.text, params.syntax) + self.text

    async def _execute(self, call: tool_calls.Call, box: Sandbox, params: AttemptParams) -> str:
        """Runs the code, unless the call cannot be read; returns what the model is shown."""
        if call.complaint:
            run = CodeRun(code=call.code, output=f"<nothing ran: {call.complaint}>\n", status="error")
        else:
            run = await (await self._interpreter(box, params)).run(params.preamble + call.code)
        self.runs.append(run)
        left = params.max_executions - len(self.runs)
        remaining, spent = params.syntax.notice
        notice = (render(remaining, remaining=left) if left else render(spent)) if params.show_remaining_executions else ""
        return call.closing + tool_syntax.output_block(run.output, call.syntax, notice, self.prompt.text)

    async def _interpreter(self, box: Sandbox, params: AttemptParams) -> Session:
        if self._session is None:
            seed = _seed(params.seed, self.problem.id, self.index)
            continues = self.parent is not None and bool(self.runs)  # a parent's variables are not there, and it says so
            self._session = await box.session(seed, continues, params.syntax.form)
        return self._session

    async def _generate(self, engine: Engine, params: AttemptParams, deadline: float) -> bool:
        """One generation; whether it may have ended with a call. If not, the attempt is over, and `finish_reason` says how."""
        left = deadline - engine.now()
        budget = params.sampling.max_tokens - self.num_context_tokens
        affordable = budget if engine.step_s is None else min(budget, int(left / engine.step_s))
        if left <= 0 or affordable <= 0:
            self.finish_reason = "length" if budget <= 0 else "time"
            return False
        self._partial = ("", 0)
        try:
            async with asyncio.timeout(left if engine.step_s is None else None):
                completion = await engine.complete(
                    self.prompt + self.reply.tokens,
                    params.sampling._replace(
                        max_tokens=affordable,
                        stop=(*params.syntax.ends, *stop_strings(params.stop_conditions)),
                        stop_conditions=engine_conditions(params.stop_conditions),
                    ),
                    key=self._key,
                    seed=_seed(params.seed, self.problem.id, self.index, self._turn),
                    progress=self._progress,
                )
        except TimeoutError:
            self._keep_partial()
            self.finish_reason = "time"
            return False
        self._keep(completion)
        if completion.finish_reason == "length":
            self.finish_reason = "length" if affordable == budget or completion.num_tokens < affordable else "time"  # or the context's end
            return False
        self.finish_reason = "repetition" if completion.stop_reason == "repetition" else "stop"
        self._turn_ended = completion.stop_reason is None
        return self._turn_ended or completion.stop_reason in params.syntax.ends

    def _code_ends_it(self, params: AttemptParams) -> bool:
        """Whether what its code did ends it."""
        printed = "printed" in params.stop_conditions and answers.printed(self.runs, params.contest).answer is not None
        failed = "failed" in params.stop_conditions and self.runs[-1].status != "ok"
        return printed or failed or "ran" in params.stop_conditions

    def _keep(self, completion: Completion) -> None:
        self._turn += 1
        self.reply = self.reply.generated(completion.tokens)
        self.num_tokens += completion.num_tokens
        self.entropies += completion.entropies
        self._seen = (self.reply, len(self.runs))
        self._partial = ("", 0)

    def _progress(self, text: str, num_tokens: int) -> None:
        self._partial = (text, num_tokens)

    def _keep_partial(self) -> None:
        """Keeps what was generated, as text: nothing goes on from here.

        Output that no generation has read yet is dropped: how fast the code ran must not show.
        """
        text, num_tokens = self._partial
        if not text:
            self.reply, self.runs = self._seen[0], self.runs[: self._seen[1]]
        self.reply = self.reply.generated(Tokens(text))
        self.num_tokens += num_tokens
        self._partial = ("", 0)
        self.finish_reason = "cancelled"

    def extract_answers(self, params: AttemptParams) -> ExtractedAnswers:
        """What it says by now. A cancelled attempt abstains, whatever its code printed after it was cancelled."""
        if self.finish_reason == "cancelled":
            none = answers.ParsedAnswer(None, "cancelled", None, False)
            return ExtractedAnswers(none, none, none)
        boxed, printed = answers.parse(self.text, params.contest), answers.printed(self.runs, params.contest)
        return ExtractedAnswers(boxed, printed, answers.choose(boxed, printed, params.answer_source))

    def candidate(self, params: AttemptParams, seconds: float, rank: int | None, isolation: str) -> Candidate:
        """The row; it ends with what was last generated."""
        boxed, printed, reading = self.extract_answers(params)
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
            entropies=entropy_windows(self.entropies),
            seconds=round(seconds, 3),
            finish_reason=self.finish_reason,
            seed=params.seed,
            rank=rank,
            isolation=isolation,
            parent=self.parent.index if self.parent else None,
            inserted=self.reply.inserted,
        )


def entropy_windows(entropies: Sequence[float]) -> tuple[float, ...]:
    """Means over successive windows, the last one perhaps shorter; four decimals."""
    parts = (entropies[begin : begin + ENTROPY_WINDOW] for begin in range(0, len(entropies), ENTROPY_WINDOW))
    return tuple(round(statistics.fmean(window), 4) for window in parts)


def _seed(*parts: object) -> int:
    """A seed of 63 bits from the run's seed and the names of what is drawn."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1
