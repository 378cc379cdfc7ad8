"""Engines: one suite that every model-backed engine passes, run on transformers in this process and on a real vLLM server (CPU build).

The model is made here. The server takes one to three minutes to start, once; where its environment is not built, its rows are skipped.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core.types import Message
from components.lib.engine.process import HOME
from components.lib.engine.protocol import Completion, Engine, EngineError, Sampling
from components.lib.engine.server import ServerEngine, ServerSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings
from tests import micro_model

ROOT = Path(__file__).parents[1]
VLLM = ROOT / ".envs" / "vllm"
PLAIN = Sampling(1.0, 1.0, 0, 0.0, 24, ())
Run = Callable[[Any], Any]


def transformers_engine(model: Path) -> TransformersEngine:
    return TransformersEngine(TransformersSettings(dtype="float32", device="cpu", batch=64, step_s=0.02), model)


def vllm_engine(model: Path) -> ServerEngine:
    if not (VLLM / "bin" / "python").exists():
        pytest.skip(f"{VLLM} is not built: no server was tested; run `infra/envs/build vllm`")
    return ServerEngine(
        ServerSettings(
            flavour="vllm", url=None, env=str(VLLM), dtype="float32", max_model_len=micro_model.POSITIONS, max_num_seqs=64,
            flags=["--enforce-eager"], start_s=500.0, step_s=0.02,
        ),
        model,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop for the module: an engine lives in the loop that opened it."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return micro_model.make(tmp_path_factory.mktemp("model") / "micro")


@pytest.fixture(scope="module", params=[transformers_engine, vllm_engine], ids=["transformers", "vllm"])
def engine(request: pytest.FixtureRequest, run: Run, model: Path) -> Iterator[Engine]:
    engine = run(_enter(request.param(model)))
    yield engine
    run(engine.__aexit__(None, None, None))


async def _enter(engine: Engine) -> Engine:
    return await engine.__aenter__()


async def asks(engine: Engine, prompts: list[str], sampling: Sampling = PLAIN, seed: int = 1) -> list[Completion]:
    """All at once; prompt i is drawn with seed + i."""
    calls = [engine.complete(prompt, sampling, key=f"{i:03}", seed=seed + i) for i, prompt in enumerate(prompts)]
    return await asyncio.gather(*calls)


def test_a_chat_becomes_the_models_own_prompt(engine: Engine) -> None:
    assert engine.render([Message(role="user", content="2+2?", loss=False)]) == "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"


def test_each_request_gets_its_own_completion_whoever_is_beside_it(engine: Engine, run: Run) -> None:
    prompts = ["a", "a much longer prompt than the others", "12345", "what is"]
    together = run(asks(engine, prompts))
    alone = [run(asks(engine, [prompt], seed=1 + i))[0] for i, prompt in enumerate(prompts)]
    assert together == alone


def test_the_same_seed_gives_the_same_text_and_another_seed_another(engine: Engine, run: Run) -> None:
    first, again, other = (run(asks(engine, ["what is 12+34?"] * 4, seed=seed)) for seed in (7, 7, 99))
    assert first == again
    assert first != other
    assert len({completion.text for completion in first}) == 4


def test_temperature_zero_is_greedy_whatever_the_seed(engine: Engine, run: Run) -> None:
    first, second = run(asks(engine, ["what is"] * 2, PLAIN._replace(temperature=0.0)))
    assert first == second


def test_tokens_are_counted_and_the_budget_ends_a_completion(engine: Engine, run: Run) -> None:
    sampling = PLAIN._replace(max_tokens=7, temperature=0.0)
    (completion,) = run(asks(engine, ["what is"], sampling))
    assert (completion.num_tokens, completion.ended, completion.stop) == (7, "length", None)


def test_a_stop_string_stays_in_the_text(engine: Engine, run: Run) -> None:
    greedy = PLAIN._replace(temperature=0.0, max_tokens=40)
    (free,) = run(asks(engine, ["what is"], greedy))
    stop = free.text[9:12]
    (stopped,) = run(asks(engine, ["what is"], greedy._replace(stop=("never", stop))))
    assert stopped.text == free.text[: free.text.index(stop) + len(stop)]
    assert (stopped.ended, stopped.stop) == ("stop", stop)


def test_a_turn_ends_at_its_tag_and_code_at_its_own(engine: Engine, run: Run) -> None:
    """With about a hundred tokens that are nearly equally likely, 48 rows of 60 meet both ends many times."""
    completions = run(asks(engine, ["what is"] * 48, PLAIN._replace(max_tokens=60, stop=("</tool_call>",))))
    ends = {completion.stop for completion in completions if completion.ended == "stop"}
    assert ends == {None, "</tool_call>"}
    for completion in completions:
        assert "<|im_end|>" not in completion.text
        assert completion.text.endswith("</tool_call>") == (completion.stop is not None)
        assert completion.text.count("</tool_call>") == (completion.stop is not None)


def test_cancelling_reports_what_was_there_and_frees_the_engine(engine: Engine, run: Run) -> None:
    reported: list[tuple[str, int]] = []

    async def cancelled() -> Completion:
        long = PLAIN._replace(max_tokens=400, temperature=0.0)
        calls = [engine.complete("abc", long, key="long", seed=1, progress=lambda text, num: reported.append((text, num)))]
        task = asyncio.create_task(calls[0])
        await engine.complete("abc", PLAIN._replace(max_tokens=8, temperature=0.0), key="short", seed=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60):
            return await engine.complete("abc", long._replace(max_tokens=400), key="after", seed=1)

    whole = run(cancelled())
    text, num_tokens = reported[-1]
    assert 0 < num_tokens < whole.num_tokens
    assert whole.text.startswith(text)


def test_a_prompt_that_does_not_fit_is_an_error_that_names_the_engine(engine: Engine, run: Run) -> None:
    with pytest.raises(EngineError, match=rf"{engine.name.split()[0]}.*{micro_model.POSITIONS + 100}"):
        run(asks(engine, ["x" * (micro_model.POSITIONS + 100)]))


def test_no_more_tokens_are_asked_for_than_fit(engine: Engine, run: Run) -> None:
    (completion,) = run(asks(engine, ["x" * (micro_model.POSITIONS - 10)], PLAIN._replace(max_tokens=100, temperature=0.0)))
    assert completion.num_tokens <= 10


def test_the_clock_moves_with_the_tokens(engine: Engine, run: Run) -> None:
    before = engine.now()
    (completion,) = run(asks(engine, ["what is"], PLAIN._replace(max_tokens=20)))
    assert engine.now() - before == pytest.approx(completion.num_tokens * 0.02)


def test_a_death_is_an_error_that_names_the_engine_and_nothing_stays(run: Run, engine: Engine) -> None:
    """The last of the suite: it leaves the engine dead."""

    async def dies() -> None:
        task = asyncio.create_task(engine.complete("abc", PLAIN._replace(max_tokens=490, temperature=0.0), key="p/1", seed=1))
        await asyncio.sleep(0.3 if isinstance(engine, ServerEngine) else 0)
        _kill(engine) if isinstance(engine, ServerEngine) else _maim(engine)
        await task

    with pytest.raises(EngineError, match=engine.name.split()[0]) as failure:
        run(dies())
    if isinstance(engine, ServerEngine):
        assert str(HOME / "logs") in str(failure.value)
        run(engine._process.stop())  # type: ignore[union-attr]
        with pytest.raises(ProcessLookupError):
            os.killpg(engine._process._process.pid, 0)  # type: ignore[union-attr]


def _maim(engine: Any) -> None:
    engine._model.model.layers[1].mlp = None


def _kill(engine: ServerEngine) -> None:
    os.killpg(engine._process._process.pid, signal.SIGKILL)  # type: ignore[union-attr]
