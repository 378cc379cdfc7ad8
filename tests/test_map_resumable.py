"""Many requests through one engine, row by row: who waits for whom, what a kill and a failure leave, and in which order rows come."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path

import pytest

from components.core import rows
from components.core.ordered_rows import OrderedWriter
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.protocol import EngineError
from components.lib.engine.scripted import RecordedReply, ScriptedEngine, ScriptedSettings

Ask = Callable[[int], Coroutine[None, None, RecordedReply]]


def row(number: int) -> RecordedReply:
    return RecordedReply(key=str(number), reply=f"reply {number}")


async def run(kept: Path, given: Iterable[int], ask: Ask, num_concurrent: int = 3, step_s: float | None = None) -> None:
    engine = ScriptedEngine(ScriptedSettings(step_s=1.0), kept)  # it is only asked for its clock here
    rows.JsonlWriter(kept)
    async with engine:
        engine.step_s = step_s
        await map_resumable(engine, given, lambda _, number: ask(number), RecordedReply, kept, num_concurrent)


def rows_ahead(kept: Path) -> list[str]:
    return kept.with_name("rows.ahead.jsonl").read_text(encoding="utf-8").splitlines()


def numbers(kept: Path) -> list[int]:
    return [int(one.key) for one in rows.read(kept, RecordedReply)]


def test_on_the_wall_clock_nobody_waits_for_a_slow_neighbour(tmp_path: Path) -> None:
    """The first one is answered after all others are; what came before its turn is kept at once, and the file is in order."""
    kept, asked, others = tmp_path / "rows.jsonl", list[int](), asyncio.Event()

    async def ask(number: int) -> RecordedReply:
        asked.append(number)
        if number == 0:
            await others.wait()
            assert numbers(kept) == [] and len(rows_ahead(kept)) == 9
        elif number == 9:
            asyncio.get_running_loop().call_later(0.05, others.set)
        return row(number)

    asyncio.run(run(kept, range(10), ask))
    assert asked == list(range(10)) == numbers(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_no_more_are_open_than_may_be(tmp_path: Path) -> None:
    open_, most = set[int](), 0

    async def ask(number: int) -> RecordedReply:
        nonlocal most
        open_.add(number)
        most = max(most, len(open_))
        await asyncio.sleep(0.001 * (number % 4))
        open_.remove(number)
        return row(number)

    asyncio.run(run(tmp_path / "rows.jsonl", range(40), ask))
    assert most == 3 and numbers(tmp_path / "rows.jsonl") == list(range(40))


def test_on_a_step_clock_a_chunk_is_over_before_the_next_begins(tmp_path: Path) -> None:
    answered = list[int]()

    async def ask(number: int) -> RecordedReply:
        assert len(answered) >= number // 3 * 3
        await asyncio.sleep(0.01 * (number % 3 == 0))
        answered.append(number)
        return row(number)

    asyncio.run(run(tmp_path / "rows.jsonl", range(8), ask, step_s=1.0))
    assert answered != numbers(tmp_path / "rows.jsonl") == list(range(8))


def test_a_killed_run_asks_only_what_is_missing(tmp_path: Path) -> None:
    """Killed while 0 and 7 were open, in the middle of a line."""
    kept, asked = tmp_path / "rows.jsonl", list[int]()
    with OrderedWriter(kept, RecordedReply) as growing:
        for number in (2, 1, 3, 5, 4, 6, 8):
            growing.add(number, row(number))
    with kept.with_name("rows.ahead.jsonl").open("a", encoding="utf-8") as beside:
        beside.write('{"place": 7, "li')

    async def ask(number: int) -> RecordedReply:
        asked.append(number)
        return row(number)

    asyncio.run(run(kept, range(10), ask))
    assert (asked, numbers(kept)) == ([0, 7, 9], list(range(10)))


def test_a_kill_between_a_row_and_those_that_wait_for_it_loses_none(tmp_path: Path) -> None:
    kept = tmp_path / "rows.jsonl"
    with OrderedWriter(kept, RecordedReply) as growing:
        for number in (1, 2):
            growing.add(number, row(number))
    with rows.JsonlWriter(kept) as file:
        file.append(row(0))
        file.append(row(1))
    with OrderedWriter(kept, RecordedReply) as growing:
        assert 2 in growing and 3 not in growing and len(growing) == 3
    assert numbers(kept) == [0, 1, 2] and not kept.with_name("rows.ahead.jsonl").exists()


def test_where_the_engine_fails_those_that_are_open_end_and_are_kept(tmp_path: Path) -> None:
    kept, asked = tmp_path / "rows.jsonl", list[int]()

    async def ask(number: int) -> RecordedReply:
        asked.append(number)
        if number == 1 and len(asked) < 4:
            raise EngineError("the server is gone")
        await asyncio.sleep(0.02)
        return row(number)

    with pytest.raises(EngineError, match="the server is gone"):
        asyncio.run(run(kept, range(5), ask))
    assert (asked, numbers(kept), len(rows_ahead(kept))) == ([0, 1, 2], [0], 1)
    asyncio.run(run(kept, range(5), ask))
    assert (asked, numbers(kept)) == ([0, 1, 2, 1, 3, 4], list(range(5)))
