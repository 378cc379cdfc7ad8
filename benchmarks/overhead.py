"""What the solve loop costs beside the engine alone, in tokens per second on the same requests.

    python -m benchmarks.overhead --model models/tir --rounds 5

One vLLM server (CPU build, .envs/vllm) answers the same prompts with the same sampling and seeds three ways in turn, round by round: plain
requests that are not streamed, from a client that does nothing else; the engine of this project, streamed; and a whole run (plan, question,
clock, rules, rows on disk), whose attempts call no code. The ratio is taken within the round, so that a busy machine slows all three.
Writes nothing that stays.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.table import Row, Skipped, peer_python, row, run_one
from components.core import rows
from components.core.types import Problem
from components.lib import arithmetic
from components.lib.answers import Contest
from components.lib.engine.backends import StreamedReply
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.protocol import Completion, Progress, Sampling
from components.lib.engine.server import ServerEngine
from components.lib.engine.server_config import ServerHost, ServerSettings
from components.lib.engine.tokens import Tokens
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox
from components.solve.exam_run import ExamRun, LoggedQuestion, Solve, attempt_params

CANDIDATES = 8


class Request(NamedTuple):
    """What all three ways ask."""

    prompt: Tokens
    key: str
    sampling: Sampling
    seed: int


class CountingEngine(ServerEngine):
    """The engine, and all that it was asked."""

    def __init__(self, settings: ServerSettings, host: ServerHost, model: Path) -> None:
        super().__init__(settings, host, model)
        self.asked: list[Request] = []

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        self.asked.append(Request(prompt, key, sampling, seed))
        return await super().complete(prompt, sampling, key=key, seed=seed, progress=progress)


class Bench:
    """One server, and the ways to ask it. Each way returns the tokens that it was given."""

    def __init__(self, engine: CountingEngine, box: Sandbox, config: Solve, contest: Contest, problems: list[Problem]) -> None:
        self.engine, self.box, self.config, self.contest, self.problems = engine, box, config, contest, problems
        self.asked: list[Request] = []
        """By a first run."""

    async def run(self) -> int:
        """The whole loop."""
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / "questions.jsonl"
            with rows.JsonlWriter(kept) as growing:
                params = attempt_params(self.config, self.contest, Path())
                await ExamRun(self.config, params, self.engine, self.box, self.problems, growing, None).run({})
            return sum(candidate.num_tokens for logged in rows.read(kept, LoggedQuestion) for candidate in logged.candidates)

    async def streamed(self) -> int:
        """The engine alone."""
        complete = self.engine.complete
        calls = (complete(one.prompt, one.sampling, key=one.key, seed=one.seed) for one in self.asked)
        return sum(completion.num_tokens for completion in await asyncio.gather(*calls))

    async def plain(self) -> int:
        """The server alone."""
        endpoint = self.engine._endpoints[0]
        async with httpx.AsyncClient(
            base_url=endpoint.url, timeout=600, trust_env=False, limits=httpx.Limits(max_connections=None)
        ) as client:

            async def ask(one: Request) -> int:
                body = self.engine._body(one.prompt, StreamedReply(), one.sampling, one.key, one.seed)
                assert body is not None
                body |= {"model": endpoint.model, "stream": False}
                del body["stream_options"]
                return (await client.post("/v1/completions", json=body)).raise_for_status().json()["usage"]["completion_tokens"]

            return sum(await asyncio.gather(*map(ask, self.asked)))


async def speed(way: Callable[[], Awaitable[int]]) -> tuple[int, float]:
    started = time.perf_counter()
    tokens = await way()
    return tokens, tokens / (time.perf_counter() - started)


def settings() -> tuple[Solve, ServerSettings, Contest, SandboxConfig]:
    """params.yaml's, but for what would stop attempts early, run code, or wait for a batch to end."""
    config = Solve.load(key="exam-cot")
    plan = type(config.plan).model_validate({"kind": "fixed", "attempts": [["cot", CANDIDATES]], "interleave": False})
    config = config.model_copy(update={"plan": plan, "early_stopping": [], "max_executions": 0})
    server = Engines.load().server.model_copy(update={"step_s": None})
    return config, server, Contest.load(), SandboxConfig.load()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=Path("models/tir"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--problems", type=int, default=24)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    peer_python("vllm")
    if not args.model.exists():
        raise Skipped(f"no {args.model}: `aimo run finetune` makes it")
    rounds = asyncio.run(paired(args.model, args.rounds, args.problems))
    for at, name in enumerate(("plain requests", "streamed", "a whole run")):
        yield row("overhead", name, "tokens/s", [speeds[at] for speeds in rounds])
    for name, way, beside in (("streamed of plain", 1, 0), ("a run of streamed", 2, 1), ("a run of plain", 2, 0)):
        yield row("overhead", name, "ratio", [speeds[way] / speeds[beside] for speeds in rounds])


async def paired(model: Path, rounds: int, num_problems: int) -> list[list[float]]:
    """Tokens per second of plain, streamed and run, round by round."""
    config, server, contest, sandbox = settings()
    drawn = [arithmetic.problem(seed) for seed in range(num_problems)]
    problems = [
        Problem(id=f"p{seed}", statement=d.statement, answer=d.answer, source="generated", licence="Apache-2.0", group=d.group)
        for seed, d in enumerate(drawn)
    ]
    async with CountingEngine(server, EngineHosts.load().server, model) as engine, open_sandbox(sandbox, SandboxCapacity.load()) as box:
        bench = Bench(engine, box, config, contest, problems)
        await bench.run()
        bench.asked = list(engine.asked)
        return [await one_round(bench, number) for number in range(rounds)]


async def one_round(bench: Bench, number: int) -> list[float]:
    """All three, each time another one first."""
    ways = [bench.plain, bench.streamed, bench.run]
    found = {}
    for way in ways[number % 3 :] + ways[: number % 3]:
        found[way.__name__] = await speed(way)
    assert len({tokens for tokens, _ in found.values()}) == 1, f"not the same work: {found}"
    return [found[way.__name__][1] for way in ways]


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
