"""Engines: one suite (lib/engine/self_check.py) that every kind passes, and what only those with a model can show.

The model is made here. A real vLLM server (CPU build) takes one to three minutes to start, once; where its environment is not built, its
rows are skipped.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.types import Candidate, Message
from components.lib import prompts
from components.lib.arithmetic import problem
from components.lib.engine.protocol import Completion, Engine, EngineError, Sampling
from components.lib.engine.replayed import ReplayedEngine, ReplayedSettings
from components.lib.engine.scripted import RecordedReply, ScriptedEngine, ScriptedSettings
from components.lib.engine.self_check import CHECKS, Ask, Check, Subject, Trait
from components.lib.engine.server import MAX_RESTARTS, ServerEngine
from components.lib.engine.server_config import ServerHost, ServerSettings
from components.lib.engine.server_process import HOME
from components.lib.engine.teacher import TeacherEngine, TeacherSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings
from tests import model_fixtures
from tests.row_fixtures import candidate

ROOT = Path(__file__).parents[1]
VLLM = ROOT / ".envs" / "vllm"
PLAIN = Sampling(1.0, 1.0, 0, 0.0, 24, ())
SLOTS = 6
Run = Callable[[Any], Any]
TRAITS: dict[str, frozenset[Trait]] = {
    "transformers": frozenset({"random", "context", "duration", "entropies", "slots", "death"}),
    "vllm": frozenset({"random", "context", "duration", "entropies", "slots", "restart"}),
    "scripted": frozenset({"known", "duration"}),
    "replayed": frozenset({"known", "duration"}),
    "teacher": frozenset({"known"}),
}
"""Of each kind. Known replies are not drawn; the teacher answers at once."""
MODELS = ("transformers", "vllm")
SPOKEN = [" ".join(f"{word}{n}" for n in range(40)) for word in ("first", "b", "c", "d")]


def opened(kind: str, model: Path, folder: Path) -> Subject:
    """An engine of this kind, not yet entered, with requests that it can answer."""
    said = [Ask(prompt, f"p/{place}/0") for place, prompt in enumerate(["abc", "a much longer prompt than the others", "12345", "what is"])]
    too_long = Ask("x" * (model_fixtures.POSITIONS + 100), "p/9/0")
    match kind:
        case "transformers":
            held = TransformersEngine(TransformersSettings(dtype="float32", device="cpu", batch=SLOTS, step_s=0.02), model)
            return Subject(held, said, too_long, SLOTS, _maim)
        case "vllm":
            return Subject(vllm_engine(model), said, too_long, SLOTS, _kill)
        case "scripted":
            with rows.JsonlWriter(folder / "replies.jsonl") as growing:
                for ask, text in zip(said, SPOKEN, strict=True):
                    growing.append(RecordedReply(key=ask.key, reply=text))
            return Subject(ScriptedEngine(ScriptedSettings(step_s=0.02), folder / "replies.jsonl"), said, too_long)
        case "replayed":
            stored = [candidate(index=place, text=text, num_tokens=40) for place, text in enumerate(SPOKEN)]
            rows.write(folder / "candidates.parquet", stored, Candidate)
            return Subject(ReplayedEngine(ReplayedSettings(step_s=0.02), folder / "candidates.parquet"), said, too_long)
    taught = [Ask(prompts.render("cot", statement=problem(seed).statement), f"generated-{seed}/0/0") for seed in (1, 2, 3, 4)]
    return Subject(TeacherEngine(TeacherSettings(step_s=0.02, error_rate=0.0, seed=1)), taught, Ask("something else", "generated-1/0/0"))


def vllm_engine(model: Path) -> ServerEngine:
    if not (VLLM / "bin" / "python").exists():
        pytest.skip(f"{VLLM} is not built: no server was tested; run `infra/envs/build vllm`")
    return ServerEngine(
        ServerSettings(
            backend="vllm", dtype="float32", max_model_len=model_fixtures.POSITIONS, tensor_parallel_size=1,
            flags=model_fixtures.server_flags(), extra_body={}, chat_template_kwargs={}, step_s=0.02,
        ),
        ServerHost(urls=[], env=str(VLLM), replicas=1, gpu_memory_utilization=None, max_num_seqs=SLOTS, startup_s=500.0,
                   silence_s=500.0, retry_s=60.0),
        model,
    )  # fmt: skip


def _maim(engine: Any) -> None:
    engine._model.model.layers[1].mlp = None


def _kill(engine: Any) -> None:
    os.killpg(_group(engine), signal.SIGKILL)


def _group(engine: Any) -> int:
    """The process group of its server."""
    return int(engine._endpoints[0].process._process.pid)


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One event loop for the module: an engine lives in the loop that opened it."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def subject(kind: str, run: Run, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    subject = opened(kind, model, tmp_path_factory.mktemp(kind))
    run(_enter(subject.engine))
    yield subject
    run(subject.engine.__aexit__(None, None, None))


@pytest.fixture
def engine(subject: Subject) -> Engine:
    return subject.engine


async def _enter(engine: Engine) -> Engine:
    return await engine.__aenter__()


async def asks(engine: Engine, prompts: list[str], sampling: Sampling = PLAIN, seed: int = 1) -> list[Completion]:
    """All at once; prompt i is drawn with seed + i."""
    calls = [engine.complete(engine.encode(prompt), sampling, key=f"{i:03}", seed=seed + i) for i, prompt in enumerate(prompts)]
    return await asyncio.gather(*calls)


@pytest.mark.parametrize("kind", MODELS, indirect=True)
def test_a_chat_becomes_the_models_own_prompt(engine: Engine) -> None:
    prompt = engine.render([Message(role="user", content="2+2?", loss=False)])
    assert prompt == engine.encode("<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("kind", MODELS, indirect=True)
def test_a_turn_ends_at_its_tag_and_code_at_its_own(engine: Engine, run: Run) -> None:
    """With about a hundred tokens that are nearly equally likely, 48 rows of 60 meet both ends many times."""
    completions = run(asks(engine, ["what is"] * 48, PLAIN._replace(max_tokens=60, stop=("</tool_call>",))))
    ends = {completion.stop_reason for completion in completions if completion.finish_reason == "stop"}
    assert ends == {None, "</tool_call>"}
    for completion in completions:
        assert "<|im_end|>" not in completion.text
        assert completion.text.endswith("</tool_call>") == (completion.stop_reason is not None)
        assert completion.text.count("</tool_call>") == (completion.stop_reason is not None)


@pytest.mark.parametrize("kind", MODELS, indirect=True)
def test_no_more_tokens_are_asked_for_than_fit(engine: Engine, run: Run) -> None:
    (completion,) = run(asks(engine, ["x" * (model_fixtures.POSITIONS - 10)], PLAIN._replace(max_tokens=100, temperature=0.0)))
    assert completion.num_tokens <= 10


@pytest.mark.parametrize("kind", MODELS, indirect=True)
def test_many_long_prompts_at_once_are_all_answered(engine: Engine, run: Run) -> None:
    """More tokens to read at once than a step of vLLM's takes (2,048): its CPU engine dies of a drawn request that is read in pieces."""
    long = [f"{n:03}" + "x" * (model_fixtures.POSITIONS - 20) for n in range(3 * SLOTS)]
    completions = run(asks(engine, long, PLAIN._replace(max_tokens=4)))
    assert all(completion.num_tokens == 4 or completion.finish_reason == "stop" for completion in completions)


@pytest.mark.parametrize("kind", TRAITS, indirect=True)
def test_every_engine_keeps_its_promises(kind: str, subject: Subject, run: Run, subtests: pytest.Subtests) -> None:
    async def in_time(check: Check) -> None:
        async with asyncio.timeout(120):
            await check.claim(subject)

    for check in CHECKS:
        if check.needs <= TRAITS[kind]:
            with subtests.test(check.claim.__name__):
                run(in_time(check))
    if isinstance(subject.engine, ServerEngine):
        _nothing_stays(subject.engine, run)


def _nothing_stays(engine: ServerEngine, run: Run) -> None:
    """A server that dies under every request is given up, with the place of its log; none of its processes is left."""

    async def die_again_and_again() -> None:
        asked = asyncio.ensure_future(asks(engine, ["abc"], PLAIN._replace(temperature=0.0, max_tokens=400)))
        while not asked.done():
            if engine._endpoints[0].open:
                groups.add(_group(engine))
                _kill(engine)
            await asyncio.sleep(0.01)
        await asked

    groups = set[int]()
    with pytest.raises(EngineError, match=rf"(?s){HOME / 'logs'}.*000: {MAX_RESTARTS + 1} servers have died under it"):
        run(die_again_and_again())
    run(engine.__aexit__())
    assert len(groups) == MAX_RESTARTS + 1
    for group in groups:
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
