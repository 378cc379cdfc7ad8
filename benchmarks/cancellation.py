"""How soon a cancelled request's place goes to one that waits.

    python -m benchmarks.cancellation --rounds 10

All places of the engine are taken by long requests and one more waits; some are cancelled, and the time is taken until the waiting one has
its first token. Beside it, in the same round, the first token of a request that finds a place free: what remains is the cancelling. On a
vLLM server (CPU build, .envs/vllm) in milliseconds, in the transformers engine in decode steps, its own first token not counted. The
model is the tests' random one. Writes nothing.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.table import Row, peer_python, row, run_one
from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.engine.server import ServerEngine
from components.lib.engine.server_config import ServerHost, ServerSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings
from tests import model_fixtures

SLOTS = 8
CANCELLED = (1, SLOTS // 2, SLOTS)
POSITIONS = 2048
LONG = Sampling(0.0, 1.0, 0, 0.0, 1900, ())  # seconds, however fast the cores are
FIRST = LONG._replace(max_tokens=1)
PROMPT = "abc"  # the random model answers it greedily with more than 400 tokens


def vllm(model: Path, env: str) -> ServerEngine:
    settings = ServerSettings(
        backend="vllm", dtype="float32", max_model_len=POSITIONS, tensor_parallel_size=1,
        flags=model_fixtures.server_flags(), extra_body={}, chat_template_kwargs={}, step_s=None,
    )  # fmt: skip
    host = ServerHost(urls=[], env=env, replicas=1, gpu_memory_utilization=None, max_num_seqs=SLOTS, startup_s=600.0, silence_s=600.0,
                      retry_s=60.0)  # fmt: skip
    return ServerEngine(settings, host, model)


def transformers(model: Path) -> TransformersEngine:
    """Its clock counts decode steps."""
    return TransformersEngine(TransformersSettings(dtype="float32", device="cpu", batch=SLOTS, step_s=1.0), model)


async def taken(engine: Engine, num: int) -> list[asyncio.Task[Completion]]:
    """So many long requests, all of them being answered."""
    tasks = [asyncio.create_task(engine.complete(engine.encode(PROMPT), LONG, key=f"long/{i}", seed=i)) for i in range(num)]
    await asyncio.sleep(0.3 if num else 0.0)
    assert not any(task.done() for task in tasks)
    return tasks


async def ended(tasks: list[asyncio.Task[Completion]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.3)  # the next measurement finds the engine idle


async def after_cancel(engine: Engine, clock: Callable[[], float], cancelled: int) -> float:
    """From the cancelling of so many to the first token of the one that waits."""
    running = await taken(engine, SLOTS)
    waiting = asyncio.create_task(engine.complete(engine.encode(PROMPT), FIRST, key="waits", seed=0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    began = clock()
    for task in running[:cancelled]:
        task.cancel()
    await waiting
    took = clock() - began
    await ended(running)
    return took


async def with_a_free_place(engine: Engine, clock: Callable[[], float]) -> float:
    running = await taken(engine, SLOTS - 1)
    began = clock()
    await engine.complete(engine.encode(PROMPT), FIRST, key="finds a place", seed=0)
    took = clock() - began
    await ended(running)
    return took


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--env", default=".envs/vllm")


def measure(args: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        model = model_fixtures.make(Path(folder) / "micro", POSITIONS)
        yield from asyncio.run(in_process(model, args.rounds))
        peer_python("vllm")
        yield from asyncio.run(on_a_server(model, args.rounds, args.env))


async def in_process(model: Path, rounds: int) -> list[Row]:
    rows = []
    async with transformers(model) as engine:
        for num in CANCELLED:
            steps = [await after_cancel(engine, engine.now, num) - 1 for _ in range(rounds)]
            rows.append(row("cancel", f"transformers, {num} cancelled", "steps", steps))
    return rows


async def on_a_server(model: Path, rounds: int, env: str) -> list[Row]:
    rows = []
    async with vllm(model, env) as server:
        await with_a_free_place(server, time.perf_counter)  # the first request of all compiles
        for num in CANCELLED:
            pairs = [
                (await after_cancel(server, time.perf_counter, num), await with_a_free_place(server, time.perf_counter))
                for _ in range(rounds)
            ]
            rows.append(row("cancel", f"vLLM server, {num} cancelled", "ms", [1e3 * ours for ours, _ in pairs]))
            rows.append(row("cancel", f"vLLM server, {num} cancelled: a free place beside it", "ms", [1e3 * free for _, free in pairs]))
    return rows


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
