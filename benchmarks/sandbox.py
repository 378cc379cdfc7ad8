"""What a session of the sandbox costs beside `python file`, the peer that one would write first.

    python -m benchmarks.sandbox --rounds 20

Each round runs the same cell both ways, one right after the other, and the ratio is taken within the round, so that a busy machine
slows both. A session is opened, runs one cell and is closed; "next cell" is a further cell of an open session, which the peer, keeping
no variables, must pay in full. The last lines tell sessions per second with several at once. Writes nothing; prints one table.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from components.lib.sandbox.local import SandboxConfig, open_sandbox
from components.lib.sandbox.protocol import Sandbox, Session

CELLS = {
    "print": ("print(1)", "1\n"),
    "numpy": ("import numpy as np\nprint(int(np.arange(100).sum()))", "4950\n"),
    "sympy": ("from sympy import *\nx = symbols('x')\nprint(solve(x**2 - 5*x + 6, x))", "[2, 3]\n"),
}


async def peer(code: str) -> str:
    """A process of its own, without walls."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(code)
        file.flush()
        process = await asyncio.create_subprocess_exec(sys.executable, file.name, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode()


async def whole(box: Sandbox, code: str) -> str:
    session = await box.session(seed=1)
    output = (await session.run(code)).output
    await session.close()
    return output


async def further(session: Session, code: str) -> str:
    return (await session.run(code)).output


async def timed(work: Awaitable[str], wanted: str) -> float:
    """Milliseconds until the work is done, which must print what is wanted."""
    started = time.perf_counter()
    output = await work
    took = time.perf_counter() - started
    assert output == wanted, output
    return 1e3 * took


async def main(rounds: int, at_once: int) -> None:
    config = SandboxConfig(timeout_s=60.0, memory_mb=1024, output_chars=200, sessions=at_once, allow_weak=False)
    started = time.perf_counter()
    async with open_sandbox(config) as box:
        print(f"isolation {box.isolation}; opened and tried in {time.perf_counter() - started:.1f} s; {rounds} rounds, milliseconds")
        print(f"{'cell':8}{'':15}{'least':>8}{'median':>8}{'peer least':>12}{'median':>8}{'times faster (median of rounds)':>34}")
        for name, (code, wanted) in CELLS.items():
            rows = await pairs(box, code, wanted, rounds)
            show(name, "whole session", [(row[0], row[2]) for row in rows])
            show(name, "next cell", [(row[1], row[2]) for row in rows])
        started = time.perf_counter()
        await asyncio.gather(*(whole(box, CELLS["print"][0]) for _ in range(10 * rounds)))
        print(f"{10 * rounds / (time.perf_counter() - started):.0f} whole sessions per second, {at_once} at once")


async def pairs(box: Sandbox, code: str, wanted: str, rounds: int) -> list[tuple[float, float, float]]:
    """Per round: a whole session, a further cell of an open one, the peer."""
    session = await box.session(seed=1)
    await session.run(code)
    rows = []
    for _ in range(rounds):
        ours = await timed(whole(box, code), wanted), await timed(further(session, code), wanted)
        rows.append((*ours, await timed(peer(code), wanted)))
    await session.close()
    return rows


def show(name: str, what: str, rows: list[tuple[float, float]]) -> None:
    ours, theirs = [row[0] for row in rows], [row[1] for row in rows]
    ratio = statistics.median(their / our for our, their in rows)
    line = f"{name:8}{what:15}{min(ours):8.1f}{statistics.median(ours):8.1f}{min(theirs):12.0f}{statistics.median(theirs):8.0f}"
    print(f"{line}{ratio:34.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=Path(__file__).stem)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=8)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rounds, arguments.at_once))
