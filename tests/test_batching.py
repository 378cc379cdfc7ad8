"""Batches of the transformers engine: what they hold never depends on how fast anything ran."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.lib.engine import concurrency
from components.lib.engine.batching import Batcher, Request
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.protocol import Completion, EngineError, Sampling
from components.lib.engine.sampling import GumbelSampler
from components.lib.engine.stop_strings import StopChecker
from components.lib.engine.transformers import TransformersEngine, TransformersSettings
from tests import model_fixtures

PLAIN = Sampling(1.0, 1.0, 0, 0.0, 24, ())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


def engine(model: Path, batch: int = 64) -> TransformersEngine:
    return TransformersEngine(TransformersSettings(dtype="float32", device="cpu", batch=batch, step_s=0.02), model)


async def crowd(model: Path, batch: int, jitter: random.Random) -> list[list[Any]]:
    """24 callers that ask three times and dawdle in between: what each got, and when on the engine's clock."""
    records: list[list[Any]] = [[] for _ in range(24)]
    async with engine(model, batch) as opened:

        async def caller(index: int) -> None:
            sampling = PLAIN._replace(max_tokens=5 + 7 * (index % 4), stop=("</tool_call>",))
            for turn in range(3):
                completion = await opened.complete(opened.encode(f"{index}:{turn}"), sampling, key=f"{index:02}/{turn}", seed=index)
                await asyncio.sleep(jitter.random() * 0.01)
                records[index].append((completion, opened.now()))

        async with asyncio.TaskGroup() as group:
            concurrency.start_tasks(group, opened, [caller(index) for index in range(24)])
    return records


def test_cancelling_three_of_eight_gives_the_same_rows_twice_however_slow_the_callers_are(model: Path) -> None:
    first, second = (asyncio.run(crowd_that_cancels_at_five(model, random.Random(jitter))) for jitter in (1, 2))
    assert first == second
    assert sum(row[-1] == "cancelled" for row in first) == 3
    assert all(row[1] > 0 for row in first)


async def crowd_that_cancels_at_five(model: Path, jitter: random.Random) -> list[tuple[Any, ...]]:
    """Eight rows with budgets of 4, 8, ... 32 tokens: the fifth's end cancels the last three."""
    rows: dict[int, tuple[Any, ...]] = {}
    async with engine(model) as opened:

        async def caller(index: int) -> None:
            reported: list[tuple[str, int]] = []
            try:
                sampling = PLAIN._replace(max_tokens=4 * (index + 1), temperature=0.5)
                await opened.complete(
                    opened.encode("abc"), sampling, key=str(index), seed=index, progress=lambda *what: reported.append(what)
                )
            except asyncio.CancelledError:
                rows[index] = (*reported[-1], opened.now(), "cancelled")
                raise
            rows[index] = (*reported[-1], opened.now(), "done")
            await asyncio.sleep(jitter.random() * 0.03)
            if len([row for row in rows.values() if row[-1] == "done"]) >= 5:
                for task in tasks:
                    task.cancel()

        async with asyncio.TaskGroup() as group:
            tasks = concurrency.start_tasks(group, opened, [caller(index) for index in range(8)])
    return [rows[index] for index in range(8)]


@pytest.mark.parametrize("batch", [64, 7])
def test_callers_that_go_on_asking_get_the_same_rows_twice(model: Path, batch: int) -> None:
    """Batches of 24 are begun anew on the way; with 7 at once most of the callers queue."""
    first, second = (asyncio.run(crowd(model, batch, random.Random(jitter))) for jitter in (1, 2))
    assert first == second


def test_a_row_does_not_notice_that_its_batch_was_begun_anew(model: Path) -> None:
    async def together(lengths: list[int]) -> list[Completion]:
        async with engine(model) as opened:
            return await asyncio.gather(
                *[
                    opened.complete(opened.encode("abc"), PLAIN._replace(max_tokens=length), key=f"{i:02}", seed=i % 4)
                    for i, length in enumerate(lengths)
                ]
            )

    completions = asyncio.run(together([5] * 16 + [60] * 16))
    for short, long in zip(completions[:16], completions[16:], strict=True):
        assert long.text.startswith(short.text)
    assert len({completion.text for completion in completions[16:]}) == 4


def test_a_batch_waits_for_every_announced_caller() -> None:
    seen: list[list[str]] = []

    async def scene() -> None:
        def decode(batch: Any) -> None:
            seen.append([request.key for request in batch])
            batcher.deliver({request: Completion("", 1, "length", None) for request in batch})

        async with Batcher(decode, 8) as batcher:

            async def ask(key: str, late: float) -> None:
                with batcher.announce():
                    await asyncio.sleep(late)
                    await batcher.ask(Request(key, [1], PLAIN, 0, asyncio.get_running_loop().create_future()))

            await asyncio.gather(ask("c", 0.0), ask("a", 0.05), ask("b", 0.02))

    asyncio.run(scene())
    assert seen == [["a", "b", "c"]]


def test_closing_the_engine_is_an_error_for_who_still_waits(model: Path) -> None:
    async def scene() -> None:
        async with asyncio.timeout(30), engine(model) as opened:
            task = asyncio.create_task(opened.complete(opened.encode("abc"), PLAIN._replace(max_tokens=400), key="p/1", seed=1))
            await asyncio.sleep(0)  # it has asked; how far the batch is does not matter
        with pytest.raises(EngineError, match="closed before p/1"):
            await task

    asyncio.run(scene())


# ---- draws ---------------------------------------------------------------------------------------------------------


def _row(seed: int, **how: Any) -> Request:
    with asyncio.Runner() as runner:
        return Request("k", [1], PLAIN._replace(**how), seed, runner.get_loop().create_future())


def _drawn(rows: list[Request], scores: Any) -> list[int]:
    import torch

    draws = GumbelSampler(rows, scores.shape[1], "cpu", lambda: False)
    return draws(torch.zeros(len(rows), 1, dtype=torch.long), scores.clone()).argmax(-1).tolist()


def test_draws_follow_the_softmax() -> None:
    import torch
    from scipy.stats import chisquare

    shares = torch.tensor([0.5, 0.25, 0.15, 0.1])
    counts = Counter(_drawn([_row(seed) for seed in range(1500)], shares.log().repeat(1500, 1)))
    assert chisquare([counts[token] for token in range(4)], (shares * 1500).tolist()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("how", "possible"),
    [
        ({"top_k": 1}, {0}),
        ({"top_k": 2}, {0, 1}),
        ({"top_p": 0.6}, {0, 1}),
        ({"min_p": 0.4}, {0, 1}),
        ({"temperature": 0.0}, {0}),
        ({}, {0, 1, 2, 3}),
    ],
)
def test_filters_leave_what_they_name(how: dict[str, Any], possible: set[int]) -> None:
    import torch

    scores = torch.tensor([0.5, 0.25, 0.15, 0.1]).log().repeat(300, 1)
    assert set(_drawn([_row(seed, **how) for seed in range(300)], scores)) == possible


def test_a_rows_luck_does_not_depend_on_its_neighbours() -> None:
    import torch

    scores = torch.zeros(3, 1000)
    assert _drawn([_row(1), _row(2), _row(3, temperature=2.0)], scores)[1] == _drawn([_row(2)], scores[:1])[0]


# ---- stop_checker and refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stop", "ends_at"),
    [
        ("ab</tool_call>", ("</tool_call>",), "ab</tool_call>"),
        ("a, b; c", (";", ","), "a,"),
        ("3+4=7. Then", ("7. ",), "3+4=7. "),
        ("no end", ("x",), None),
    ],
)
def test_a_row_ends_where_a_stop_string_is_complete(model: Path, text: str, stop: tuple[str, ...], ends_at: str | None) -> None:
    chat = ChatTokenizer.load(model)
    stop_checker, ids = StopChecker(chat, {2}), chat.encode(text).ids
    sampling = PLAIN._replace(max_tokens=1000, stop=stop)
    found = [ending for num in range(1, len(ids) + 1) if (ending := stop_checker.ending(ids[:num], sampling))]
    assert (found[0].text if found else None) == ends_at


def test_a_turn_ends_as_its_chat_template_does_whatever_the_tokenizer_calls_its_end(tmp_path: Path) -> None:
    folder = model_fixtures.name_another_end(model_fixtures.make(tmp_path / "base"))

    async def scene() -> list[Completion]:
        async with engine(folder, batch=48) as opened:
            asked = (opened.complete(opened.encode("ab"), PLAIN._replace(max_tokens=60), key=f"{i:02}", seed=i) for i in range(48))
            return await asyncio.gather(*asked)

    completions = asyncio.run(scene())
    assert {completion.finish_reason for completion in completions} == {"stop", "length"}
    assert not any("<|im_end|>" in completion.text for completion in completions)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: [file.unlink() for file in folder.glob("tokenizer*")], "tokenizer"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "chat template"),
    ],
)
def test_an_incomplete_model_folder_is_refused_with_its_name(tmp_path: Path, spoil: Callable[[Path], Any], says: str) -> None:
    folder = model_fixtures.make(tmp_path / "spoilt")
    spoil(folder)

    async def opened() -> None:
        async with engine(folder):
            pass

    with pytest.raises(UserError, match=rf"spoilt.*{says}"):
        asyncio.run(opened())
