"""How soon a cancelled request's place goes to one that waits.

    python -m benchmarks.cancel --rounds 10

All places of the engine are taken by long requests and one more waits; some are cancelled, and the time is taken until the waiting one has
its first token. Beside it, in the same round, the first token of a request that finds a place free: what remains is the cancelling. On a
vLLM server (CPU build, .envs/vllm) in milliseconds, in the transformers engine in decode steps, its own first token not counted. The
model is the tests' random one. Writes nothing; prints one table.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from components.lib.engine.protocol import Completion, Engine, Sampling
from components.lib.engine.server import ServerEngine, ServerHost, ServerSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings
from tests import micro_model

SLOTS = 8
LONG = Sampling(0.0, 1.0, 0, 0.0, 400, ())
FIRST = LONG._replace(max_tokens=1)
PROMPT = "abc"  # the random model answers it greedily with more than 400 tokens


def vllm(model: Path, env: str) -> ServerEngine:
    settings = ServerSettings(
        flavour="vllm", dtype="float32", max_model_len=micro_model.POSITIONS, tensor_parallel_size=1,
        flags=micro_model.server_flags(), body={}, template={}, step_s=None,
    )  # fmt: skip
    host = ServerHost(urls=[], env=env, replicas=1, gpu_memory_utilization=None, max_num_seqs=SLOTS, start_s=600.0)
    return ServerEngine(settings, host, model)


def transformers(model: Path) -> TransformersEngine:
    """Its clock counts decode steps."""
    return TransformersEngine(TransformersSettings(dtype="float32", device="cpu", batch=SLOTS, step_s=1.0), model)


async def taken(engine: Engine, num: int) -> list[asyncio.Task[Completion]]:
    """So many long requests, all of them being answered."""
    tasks = [asyncio.create_task(engine.complete(PROMPT, LONG, key=f"long/{i}", seed=i)) for i in range(num)]
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
    waiting = asyncio.create_task(engine.complete(PROMPT, FIRST, key="waits", seed=0))
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
    await engine.complete(PROMPT, FIRST, key="finds a place", seed=0)
    took = clock() - began
    await ended(running)
    return took


async def main(rounds: int, env: str) -> None:
    print(f"{SLOTS} places, {rounds} rounds: from cancelling to the first token of the one that waits")
    print(f"{'engine':22}{'cancelled':>10}{'least':>9}{'median':>9}{'most':>9}{'a free place: median':>22}")
    with tempfile.TemporaryDirectory() as folder:
        model = micro_model.make(Path(folder) / "micro")
        async with transformers(model) as in_process:
            for cancelled in (1, SLOTS // 2, SLOTS):
                show(
                    "transformers, steps", cancelled, [await after_cancel(in_process, in_process.now, cancelled) - 1 for _ in range(rounds)]
                )
        async with vllm(model, env) as server:
            await with_a_free_place(server, time.perf_counter)  # the first request of all compiles
            for cancelled in (1, SLOTS // 2, SLOTS):
                pairs = [
                    (await after_cancel(server, time.perf_counter, cancelled), await with_a_free_place(server, time.perf_counter))
                    for _ in range(rounds)
                ]
                show("vLLM server, ms", cancelled, [1e3 * ours for ours, _ in pairs], [1e3 * free for _, free in pairs])


def show(engine: str, cancelled: int, took: list[float], free: list[float] | None = None) -> None:
    beside = f"{statistics.median(free):22.0f}" if free else ""
    print(f"{engine:22}{cancelled:10}{min(took):9.0f}{statistics.median(took):9.0f}{max(took):9.0f}{beside}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=Path(__file__).stem)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--env", default=".envs/vllm")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.env))
