"""What a session of the sandbox costs beside the two peers that one would take first: `python file` and a Jupyter kernel.

    python -m benchmarks.sandbox --rounds 20

Each round runs the same cell both ways, one right after the other, and the ratio is taken within the round, so that a busy machine slows
both. A whole session is opened, runs one cell and is closed; "first cell" is that cell by itself; "next cell" is a further cell of an
open session, which `python file`, keeping no variables, must pay in full. The sympy cell meets that peer twice: with compiled files of
its libraries at hand, and with none found and none kept, as in container images that ship without them. The kernel, in an environment of
its own (infra/envs/peers.txt), runs `print(1)` only. The last lines tell sessions per second with several at once, and how much memory
sessions add that nobody shares. Writes nothing.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.table import ROOT, Row, peer_python, row, run_one
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox, Session

CELLS = {
    "print": ("print(1)", "1\n"),
    "numpy": ("import numpy as np\nprint(int(np.arange(100).sum()))", "4950\n"),
    "sympy": ("from sympy import *\nx = symbols('x')\nprint(solve(x**2 - 5*x + 6, x))", "[2, 3]\n"),
}

CONFIG = SandboxConfig(timeout_s=60.0, interrupt=True, memory_mb=1024, output_chars=200, allow_weak=False)

Order = Callable[[str], Awaitable[float]]
"""Has a Jupyter kernel do one thing (peers/kernel.py); returns the milliseconds that it took."""


class Round(NamedTuple):
    """Milliseconds: ours; the peer's for a whole session, and for the next cell."""

    whole: float
    first: float
    next: float
    peer: float
    peer_next: float


@asynccontextmanager
async def jupyter() -> AsyncIterator[Order]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(peer_python("peers"), ROOT / "benchmarks/peers/kernel.py", stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    into, out = process.stdin, process.stdout

    async def order(what: str) -> float:
        into.write(f"{what}\n".encode())
        return float(await out.readline())

    try:
        yield order
    finally:
        into.close()
        await process.wait()


async def python_file(code: str, compiled: bool) -> str:
    """A process of its own, without walls; `compiled`: it finds its libraries' bytecode."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cell.py")
        file.write_text(code)
        bare = {} if compiled else {"PYTHONPYCACHEPREFIX": f"{folder}/none", "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, str(file), env={**os.environ, **bare}, stdout=pipe)
        return (await process.communicate())[0].decode()


async def whole(box: Sandbox, code: str) -> str:
    session = await box.session(seed=1)
    output = (await session.run(code)).output
    await session.close()
    return output


async def one(session: Session, code: str) -> str:
    return (await session.run(code)).output


async def timed(work: Awaitable[str], wanted: str) -> float:
    """Milliseconds until the work is done, which must print what is wanted."""
    started = time.perf_counter()
    output = await work
    took = time.perf_counter() - started
    assert output == wanted, output
    return 1e3 * took


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--num-concurrent", type=int, default=8)


def measure(args: argparse.Namespace) -> Iterator[Row]:
    yield from asyncio.run(beside_files(args.rounds, args.num_concurrent))
    peer_python("peers")
    yield from asyncio.run(beside_a_kernel(args.rounds, args.num_concurrent))


async def beside_files(rounds: int, num_sessions: int) -> list[Row]:
    found = []
    async with open_sandbox(CONFIG, SandboxCapacity(max_sessions=num_sessions)) as box:
        for name, (code, wanted) in CELLS.items():
            found += beside(f"{name}, python file", await beside_file(box, code, wanted, rounds, compiled=True))
        found += beside("sympy, python file without compiled files", await beside_file(box, *CELLS["sympy"], rounds, compiled=False))
        started = time.perf_counter()
        await asyncio.gather(*(whole(box, CELLS["print"][0]) for _ in range(10 * rounds)))
        per_second = 10 * rounds / (time.perf_counter() - started)
        found.append(row("sandbox", f"whole sessions, {num_sessions} at once", "per second", [per_second]))
        found.append(row("sandbox", "memory that nobody shares, a session after sympy", "MB", [await memory(box, num_sessions)]))
    return found


async def beside_a_kernel(rounds: int, num_sessions: int) -> list[Row]:
    async with open_sandbox(CONFIG, SandboxCapacity(max_sessions=num_sessions)) as box, jupyter() as order:
        rows = await beside_kernel(box, order, rounds)
    return [
        *ratio("print, Jupyter kernel: whole session", [(one.whole, one.peer) for one in rows]),
        *ratio("print, Jupyter kernel: next cell", [(one.next, one.peer_next) for one in rows]),
    ]


async def beside_file(box: Sandbox, code: str, wanted: str, rounds: int, *, compiled: bool) -> list[Round]:
    rows = []
    async with opened(box, code) as session:
        for _ in range(rounds):
            mine = await ours(box, session, code, wanted)
            theirs = await timed(python_file(code, compiled), wanted)
            rows.append(Round(*mine, theirs, theirs))
    return rows


async def beside_kernel(box: Sandbox, order: Order, rounds: int) -> list[Round]:
    """The kernel's whole session ends with its first output."""
    code, wanted = CELLS["print"]
    rows = []
    async with opened(box, code) as session:
        for _ in range(rounds):
            mine = await ours(box, session, code, wanted)
            rows.append(Round(*mine, await order("start"), await order("cell")))
    return rows


async def ours(box: Sandbox, session: Session, code: str, wanted: str) -> tuple[float, float, float]:
    """A whole session, a first cell, a further cell of `session`."""
    took = await timed(whole(box, code), wanted)
    fresh = await box.session(seed=1)
    first = await timed(one(fresh, code), wanted)
    await fresh.close()
    return took, first, await timed(one(session, code), wanted)


@asynccontextmanager
async def opened(box: Sandbox, code: str) -> AsyncIterator[Session]:
    """A session that has run its first cell."""
    session = await box.session(seed=1)
    try:
        await session.run(code)
        yield session
    finally:
        await session.close()


async def memory(box: Sandbox, num: int) -> float:
    """Megabytes that each of so many open sessions adds to the pages which our processes share with nobody."""
    before = unshared()
    async with AsyncExitStack() as stack:
        for _ in range(num):
            await stack.enter_async_context(opened(box, CELLS["sympy"][0]))
        return (unshared() - before) / num / 1e6


def unshared() -> int:
    """Bytes of this process and all below it."""
    us = psutil.Process()
    return sum(process.memory_full_info().uss for process in (us, *us.children(recursive=True)))


def beside(name: str, rounds: list[Round]) -> list[Row]:
    """Beside a peer that has nothing but whole sessions."""
    return [
        *ratio(f"{name}: whole session", [(one.whole, one.peer) for one in rounds]),
        *ratio(f"{name}: first cell", [(one.first, one.peer) for one in rounds]),
        *ratio(f"{name}: next cell", [(one.next, one.peer_next) for one in rounds]),
    ]


def ratio(name: str, pairs: list[tuple[float, float]]) -> Iterator[Row]:
    yield row("sandbox", name, "ms", [ours for ours, _ in pairs])
    yield row("sandbox", f"{name}, times faster", "ratio", [theirs / ours for ours, theirs in pairs])


if __name__ == "__main__":
    run_one(__doc__, measure, arguments)
