"""Public tokenizers and chat templates, and attempts that a sitting makes on them: what the test of joints and its benchmark share.

The replies are known texts, cut into ids by a real tokenizer, as a model's are. Some run past the end of their call, and texts after an
output begin with what would join its last line feed.
"""

import asyncio
import gzip
import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from components.compose.kind import assistant_turn, user_message
from components.core.types import Candidate, Example, Message
from components.lib import prompts, tokenization
from components.lib.arithmetic import problem, tir_segments
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.playback import PlaybackEngine, Reply, tokenised
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, Progress, Sampling
from components.lib.engine.tokens import Tokens
from components.lib.rules.time_budget import QuestionBudget
from components.lib.tool_syntax import OPENMATH, SyntaxName, pieces
from components.lib.tool_translation import in_openmath
from components.solve.exam_run import attempt_params
from components.solve.question_run import QuestionRun
from tests import row_fixtures
from tests.question_fixtures import CONTEST, LazySandbox, fixed, settings

DATA = Path(os.environ.get("AIMO_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data") / "chat"
TEMPLATES = {"qwen2.5": "Qwen2.5-Coder-0.5B-Instruct", "qwen3": "Qwen-Qwen3-0.6B", "gptoss": "openai-gpt-oss-120b"}
"""The template of each tokenizer."""
TAGS = ["<tool_call>", "</tool_call>"]
CALLS: dict[SyntaxName, str] = {
    "openmath": "<tool_call>\nCODE\n</tool_call>",
    "fences": "```python\nCODE\n```\n",
    "hermes": '<tool_call>\n{"name": "python", "arguments": {"code": CODE}}\n</tool_call>',
    "harmony": "<|channel|>analysis to=python code<|message|>CODE<|call|>",
}
BEYOND = ("", "\n", "\n\n")
"""What a model draws in one token with the end of its call, or soon after it."""
STARTS = ("", "\n", "\n\n", " ", "\nNow ", "```text\nx\n```\n\n")
"""How it goes on after an output; the last one ends a block of its own."""


def chat(name: str, folder: Path, *, tags: bool, template: str | None = None) -> ChatTokenizer:
    """One of TEMPLATES, unpacked into `folder`. `tags`: whether <tool_call> is a token. `template`: another one of the public ones."""
    from transformers import AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    lies = DATA / "tokenizers" / name
    whole, config = (
        json.loads(gzip.decompress((lies / "tokenizer.json.gz").read_bytes())),
        json.loads((lies / "tokenizer_config.json").read_bytes()),
    )
    whole["added_tokens"] = [token for token in whole["added_tokens"] if token["content"] not in TAGS]
    config["added_tokens_decoder"] = {
        token: one for token, one in config.get("added_tokens_decoder", {}).items() if one["content"] not in TAGS
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (DATA / "templates" / f"{template or TEMPLATES[name]}.jinja").read_text(encoding="utf-8")
    if tags:
        tokenizer.add_tokens(TAGS)
    assert tags == (len(tokenizer.encode(TAGS[0])) == 1)
    return ChatTokenizer(tokenizer)


class Speaker(PlaybackEngine):
    """Known replies, as the ids that a tokenizer makes of them."""

    name = "speaker"

    def __init__(self, chat: ChatTokenizer, turns: dict[str, str]) -> None:
        super().__init__(0.02)
        self._chat, self._turns = chat, turns

    def reply(self, prompt: str, key: str) -> Reply:
        return tokenised(self._turns[key])

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        return self._chat.prompt(messages, arguments)

    def encode(self, text: str) -> Tokens:
        return self._chat.encode(text)

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        completion = await super().complete(prompt, sampling, key=key, seed=seed, progress=progress)
        return completion._replace(ids=self._chat.cut(self._chat.encode(self._turns[key]).ids, completion.text))


def turns(index: int, syntax: SyntaxName) -> list[str]:
    """An attempt with two programs, generation by generation."""
    parts = tir_segments(problem(index), forget_import=False)
    code = parts.cells[0].removeprefix(f"{OPENMATH.begin}\n").removesuffix(f"\n{OPENMATH.end}")
    call = CALLS[syntax].replace("CODE", json.dumps(code) if syntax == "hermes" else code) + BEYOND[index // len(STARTS) % len(BEYOND)]
    start = STARTS[index % len(STARTS)]
    own_block = [start] if syntax == "fences" and "```" in start else []
    start = "" if own_block else start
    return [parts.thought + call, *own_block, f"{start}Check it. {call}", start + parts.final]


def sit(chat: ChatTokenizer, num: int, syntax: SyntaxName, *, told: bool) -> QuestionRun:
    """So many attempts through solve's own loop, with code that runs. `told`: they are shown how many runs are left."""
    return speak(chat, [turns(index, syntax) for index in range(num)], syntax, told=told)


def speak(chat: ChatTokenizer, said: Sequence[Sequence[str]], syntax: SyntaxName, *, told: bool) -> QuestionRun:
    """Attempts that say these texts, generation by generation."""
    config = settings(plan=fixed(tir=len(said)), syntax=syntax, max_executions=3, show_remaining_executions=told, max_tokens=100_000)
    known = {f"p/{index}/{turn}": text for index, turns in enumerate(said) for turn, text in enumerate(turns)}

    async def run() -> QuestionRun:
        async with Speaker(chat, known) as engine, LazySandbox() as box:
            question = QuestionRun(row_fixtures.problem(), attempt_params(config, CONTEST, Path()), [], engine, box, QuestionBudget(1e6))
            await config.plan.sample(question)
            await question.close()
            return question

    return asyncio.run(run())


class TwoWays(NamedTuple):
    """The ids of one attempt."""

    sat: list[int]
    """As the sitting ended, and its end of turn."""
    trained: list[int]
    """As its row is trained on."""
    whole: list[int]
    """As one text, which neither is."""

    @property
    def share_that_differs(self) -> float:
        """Of the positions, between sitting and training."""
        return statistics.fmean(one != other for one, other in zip_longest(self.sat, self.trained))


def compared(chat: ChatTokenizer, num: int, syntax: SyntaxName, *, told: bool) -> Iterator[TwoWays]:
    """So many attempts in `syntax`: the rows that compose makes of them, and the sitting in openmath that says the same."""
    question = sit(chat, num, syntax, told=told)
    assert all(len(made.runs) == 2 for made in question.candidates()), "their programs did not run"
    rows = in_openmath(question.candidates())
    if syntax != "openmath":
        question = speak(chat, [generations(row) for row in rows], "openmath", told=told)
    asked = user_message(prompts.render("tir", statement=question.problem.statement))
    for attempt, row in zip(question.attempts, rows, strict=True):
        example = Example(id="tir/p", problem="p", candidate=row.index, kind="tir", messages=(asked, *assistant_turn(row)))
        all_of_it, end = attempt.prompt + attempt.reply.tokens, chat.end_of_turn.ids
        assert attempt.reply.tokens.text == row.text
        yield TwoWays([*all_of_it.ids, *end], tokenization.encode(example, chat).input_ids, [*chat.encode(all_of_it.text).ids, *end])


def generations(candidate: Candidate) -> list[str]:
    """What it said, one text per generation."""
    return [piece.text for piece in pieces(candidate) if piece.generated]
