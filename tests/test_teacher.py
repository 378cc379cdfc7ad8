"""The template teacher: right in the stated share, wrong on purpose, in step with a loop that runs its code."""

import asyncio
import contextlib
import io
import re
from collections import Counter

import pytest

from components.core.types import Message
from components.lib import prompts, tool_calls, tool_syntax
from components.lib.arithmetic import problem
from components.lib.engine.protocol import EngineError, Sampling
from components.lib.engine.teacher import UNKNOWN, TeacherEngine, TeacherSettings
from components.lib.engine.tokens import Tokens

SAMPLING = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=1000, stop=(tool_syntax.OPENMATH.end,))
NUM = 600


def engine(wrong: float = 0.1, seed: int = 1) -> TeacherEngine:
    return TeacherEngine(TeacherSettings(step_s=0.02, error_rate=wrong, seed=seed))


def run(code: str, names: dict[str, object]) -> str:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(code, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return out.getvalue()


async def attempt(teacher: TeacherEngine, seed: int, mode: str, index: int = 0) -> str:
    """A loop as `solve` has one, with `exec` in place of the sandbox: these programs are ours."""
    asked = Message(role="user", content=prompts.render(mode, statement=problem(seed).statement), loss=False)
    prompt, text, names = teacher.render([asked]), Tokens(""), {}
    for turn in range(5):
        completion = await teacher.complete(prompt + text, SAMPLING, key=f"generated-{seed}/{index}/{turn}", seed=turn)
        text += completion.tokens
        if completion.stop_reason is None:
            return text.text
        call = tool_calls.last_call(completion.text)
        assert call is not None
        text += teacher.encode(tool_syntax.output_block(run(call.code, names)))
    raise AssertionError("the attempt did not end")


def attempts(teacher: TeacherEngine, mode: str) -> list[str]:
    async def all_of_them() -> list[str]:
        return [await attempt(teacher, seed, mode) for seed in range(NUM)]

    return asyncio.run(all_of_them())


def boxed(text: str) -> int:
    return int(re.findall(r"\\boxed\{(-?\d+)\}", text)[-1])


@pytest.mark.parametrize("mode", ["cot", "tir"])
def test_it_is_right_except_in_the_share_that_slips(mode: str) -> None:
    right = sum(boxed(text) == problem(seed).answer for seed, text in enumerate(attempts(engine(wrong=0.1), mode)))
    assert abs(right / NUM - 0.9) < 4 * (0.1 * 0.9 / NUM) ** 0.5


@pytest.mark.parametrize("mode", ["cot", "tir"])
@pytest.mark.parametrize(("wrong", "is_right"), [(0.0, True), (1.0, False)])
def test_all_slip_or_none(mode: str, wrong: float, is_right: bool) -> None:
    for seed, text in enumerate(attempts(engine(wrong), mode)):
        assert (boxed(text) == problem(seed).answer) is is_right, text


def test_a_tool_attempt_has_the_form_that_students_are_trained_on() -> None:
    seed = next(s for s in range(NUM) if problem(s).family == "power")
    drawn = problem(seed)
    text = asyncio.run(attempt(engine(wrong=0.0), seed, "tir"))
    assert text == (
        f"<think>\nTake the power.\n</think>\n<tool_call>\n{drawn.programs[0]}\n</tool_call>\n"
        f"```output\n{drawn.answer}\n```\nThe answer is \\boxed{{{drawn.answer}}}."
    )


def test_some_attempts_forget_the_import_and_mend_it() -> None:
    texts = [text for seed, text in enumerate(attempts(engine(wrong=0.0), "tir")) if "import math" in problem(seed).programs[0]]
    forgot = [text for text in texts if "NameError" in text]
    assert 0.06 < len(forgot) / len(texts) < 0.2
    assert all(text.index("NameError") < text.index("import math") for text in forgot)


def test_a_two_step_problem_runs_two_cells() -> None:
    seed = next(s for s in range(NUM) if problem(s).family == "gcd_remainder")
    text = asyncio.run(attempt(engine(wrong=0.0), seed, "tir", index=3))
    assert text.count("<tool_call>") in {2, 3}
    assert text.count("<think>") == 1


def test_the_box_holds_what_the_program_printed() -> None:
    seed = next(s for s in range(NUM) if problem(s).family == "power")
    prompt = prompts.render("tir", statement=problem(seed).statement) + "\n...</tool_call>"
    for printed, said in [("17", "The answer is \\boxed{17}."), ("TypeError: no", UNKNOWN)]:
        reply = asyncio.run(
            engine(0.0).complete(Tokens(prompt + tool_syntax.output_block(printed)), SAMPLING, key=f"generated-{seed}/0/1", seed=0)
        )
        assert (reply.text, reply.stop_reason, reply.finish_reason) == (said, None, "stop")


@pytest.mark.parametrize("name", ["aime-1", "generated-", "generated-x", "forum-generated-3"])
def test_it_abstains_on_what_it_cannot_know(name: str) -> None:
    reply = asyncio.run(engine().complete(Tokens("What?\nUse Python."), SAMPLING, key=f"{name}/0/0", seed=0))
    assert reply.text == UNKNOWN


def test_a_prompt_that_is_not_of_its_problem_is_refused() -> None:
    prompt = prompts.render("cot", statement=problem(2).statement)
    with pytest.raises(EngineError, match="generated-1/0/0 does not ask"):
        asyncio.run(engine().complete(Tokens(prompt), SAMPLING, key="generated-1/0/0", seed=0))


def test_a_tool_call_that_nothing_would_stop_at_is_refused() -> None:
    prompt = prompts.render("tir", statement=problem(1).statement)
    with pytest.raises(EngineError, match="stop strings"):
        asyncio.run(engine().complete(Tokens(prompt), SAMPLING._replace(stop=()), key="generated-1/0/0", seed=0))


def test_the_token_limit_cuts() -> None:
    prompt, seen = prompts.render("cot", statement=problem(1).statement), []
    ask = engine(0.0).complete
    whole = asyncio.run(ask(Tokens(prompt), SAMPLING, key="generated-1/0/0", seed=0))
    cut = asyncio.run(
        ask(
            Tokens(prompt),
            SAMPLING._replace(max_tokens=5),
            key="generated-1/0/0",
            seed=0,
            progress=lambda text, num: seen.append((text, num)),
        )
    )
    assert (cut.num_tokens, cut.finish_reason) == (5, "length")
    assert whole.text.startswith(cut.text)
    assert seen == [(cut.text, 5)]


def test_time_is_the_tokens_of_the_own_attempt_whoever_runs_beside_it() -> None:
    async def timed(teacher: TeacherEngine, seed: int) -> float:
        opened = teacher.now()
        await asyncio.sleep(0)
        await attempt(teacher, seed, "tir")
        return teacher.now() - opened

    async def together(seeds: list[int]) -> dict[int, float]:
        teacher = engine()
        return dict(zip(seeds, await asyncio.gather(*(timed(teacher, seed) for seed in seeds)), strict=True))

    alone = {seed: asyncio.run(together([seed]))[seed] for seed in range(5)}
    assert asyncio.run(together([4, 2, 0, 1, 3])) == alone
    assert min(alone.values()) > 0


def test_slips_depend_on_seed_problem_and_index_alone() -> None:
    async def wrongs(teacher: TeacherEngine, index: int) -> Counter[int]:
        texts = {seed: await attempt(teacher, seed, "cot", index) for seed in range(200)}
        return Counter(seed for seed, text in texts.items() if boxed(text) != problem(seed).answer)

    first = asyncio.run(wrongs(engine(0.3), 0))
    assert asyncio.run(wrongs(engine(0.3), 0)) == first
    assert asyncio.run(wrongs(engine(0.3), 1)) != first
    assert asyncio.run(wrongs(engine(0.3, seed=2), 0)) != first
