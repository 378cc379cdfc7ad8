"""How one cell follows another: a session is stopped between them, and the next one wakes it."""

import os
from collections.abc import Iterator

import pytest

from tests import sandbox_fixtures


@pytest.fixture(scope="module")
def box() -> Iterator[sandbox_fixtures.Box]:
    with sandbox_fixtures.opened(timeout_s=2.0, warm=False) as box:
        yield box


def test_a_large_cell_reaches_a_stopped_session(box: sandbox_fixtures.Box) -> None:
    assert [run.output for run in box.cells("x = 2", f"y = '{'y' * 10**6}'\nx, len(y)")] == ["", "(2, 1000000)\n"]


def test_quick_cells_follow_each_other_in_order(box: sandbox_fixtures.Box) -> None:
    runs = box.cells("x = 0", *["x += 1\nx"] * 500)
    assert [run.output for run in runs[1:]] == [f"{i}\n" for i in range(1, 501)]


def test_a_session_is_woken_also_where_the_kernel_gives_no_descriptor_of_a_process(box: sandbox_fixtures.Box) -> None:
    session = box.session()
    box.do(session.run("x = 1"))
    life = session._life
    assert life
    assert life.handle is not None
    os.close(life.handle)
    life.handle = None
    assert [box.do(session.run("x")).output for _ in range(3)] == ["1\n"] * 3
    box.do(session.close())
