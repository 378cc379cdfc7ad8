"""Shards of a set as tasks of a Ray cluster: two workers on this machine, one of them killed on the way."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.params import PARAMS
from components.core.runner import Metrics
from components.core.types import Problem
from components.lib.engine.config import Engines
from components.lib.engine.protocol import EngineError
from components.lib.rules.clocks import Buffer, Fixed
from components.solve import shards
from components.solve.sitting import Handed, Keeper
from components.solve.stage import _sit, solve
from tests.desks import CONTEST, SANDBOX
from tests.test_solve import TEACHER, exam

NUM = 20
FORGETFUL = Fixed(kind="fixed", question_s=350.0, sitting_s=1e6)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two machines of one processor each, as far as Ray can tell."""
    pytest.importorskip("ray", reason="Ray is not installed: no sharding was tested; `pip install aimo-forge[cluster]`")
    import ray
    from ray.cluster_utils import Cluster

    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    machines.add_node(num_cpus=1)
    ray.init(address=machines.address, log_to_driver=False)
    yield
    ray.shutdown()
    machines.shutdown()


@pytest.fixture(scope="module")
def engines() -> Engines:
    return Engines.load(PARAMS)


def teaching(engines: Engines) -> shards.Part:
    return partial(_sit, TEACHER, engines, SANDBOX, CONTEST, Path("components/lib/arithmetic"))


async def dying(part: shards.Part, once: Path, asked: Sequence[Problem], kept: Path) -> Metrics:
    """The worker of the shard with problem 1 is killed when it is half done: once, or each time where `once` is a folder."""
    if any(problem.id == "generated-1" for problem in asked) and not once.is_file():
        if not once.exists():
            once.touch()
        await part(asked[: len(asked) // 2], kept)
        os.kill(os.getpid(), signal.SIGKILL)
    return await part(asked, kept)


def run(folder: Path, engines: Engines, num: int) -> bytes:
    (folder / f"work-{num}").mkdir()
    out, questions = folder / f"{num}.parquet", folder / f"{num}-questions.parquet"
    solve(
        TEACHER.model_copy(update={"shards": num}), engines, SANDBOX, CONTEST,
        problems=exam(folder, NUM), model=Path("components/lib/arithmetic"), out=out, questions=questions, work=folder / f"work-{num}",
    )  # fmt: skip
    return out.read_bytes() + questions.read_bytes()


def test_shards_seal_the_same_bytes_as_one_sitting(tmp_path: Path, engines: Engines, cluster: None) -> None:
    assert run(tmp_path, engines, 3) == run(tmp_path, engines, 1)


def test_a_killed_workers_shard_is_sat_again_and_nothing_is_there_twice(tmp_path: Path, engines: Engines, cluster: None) -> None:
    asked, kept, once = list(rows.read(exam(tmp_path, NUM), Problem)), tmp_path / "sat.jsonl", tmp_path / "killed"
    measured = shards.sit(4, partial(dying, teaching(engines), once), asked, kept)
    assert once.exists(), "a worker was killed"
    whole = run(tmp_path, engines, 1)
    assert whole
    alone = list(Keeper(tmp_path / "work-1" / "sat.jsonl", [problem.id for problem in asked]))
    sharded = list(Keeper(kept, [problem.id for problem in asked]))
    assert [(q.sat, q.candidates) for q in sharded] == [(q.sat, q.candidates) for q in alone]
    assert len(list(rows.read(kept, Handed))) == NUM
    assert measured["engine"].startswith("teacher") and ", " not in measured["isolation"]


def test_a_killed_run_goes_on_with_the_shards_that_are_missing(tmp_path: Path, engines: Engines, cluster: None) -> None:
    asked, whole, kept = list(rows.read(exam(tmp_path, NUM), Problem)), tmp_path / "whole.jsonl", tmp_path / "sat.jsonl"
    shards.sit(4, teaching(engines), asked, whole)
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    kept.write_text("".join(lines[:7]) + lines[7][:40], encoding="utf-8")  # one shard, two questions of the next, and a torn line
    shards.sit(4, teaching(engines), asked, kept)
    names = [problem.id for problem in asked]
    assert [q.model_dump(exclude={"elapsed"}) for q in Keeper(kept, names)] == [
        q.model_dump(exclude={"elapsed"}) for q in Keeper(whole, names)
    ]


def test_a_shard_that_kills_every_worker_is_an_error(tmp_path: Path, engines: Engines, cluster: None) -> None:
    asked = list(rows.read(exam(tmp_path, 4), Problem))
    with pytest.raises(EngineError, match=f"failed {shards.RETRIES + 1} times"):
        shards.sit(2, partial(dying, teaching(engines), tmp_path), asked, tmp_path / "sat.jsonl")


def test_an_error_of_a_shard_is_the_users_as_it_was_raised(tmp_path: Path, engines: Engines, cluster: None) -> None:
    asked = list(rows.read(exam(tmp_path, 4), Problem))
    part = partial(_sit, TEACHER.model_copy(update={"engine": "teecher"}), engines, SANDBOX, CONTEST, tmp_path)
    with pytest.raises(UserError, match=r"^params\.yaml: engine: no engine 'teecher'"):
        shards.sit(2, part, asked, tmp_path / "sat.jsonl")


def test_a_clock_with_a_memory_is_refused(tmp_path: Path) -> None:
    clock = Buffer(kind="buffer", base_s=350.0, cap_s=210.0, sitting_s=1e6)
    with pytest.raises(UserError, match=r"clock buffer.*shards: 1"):
        shards.check(2, clock)
    shards.check(1, clock)


def test_more_than_one_shard_needs_ray_and_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"aimo-forge\[cluster\]"):
        shards.check(2, FORGETFUL)
    shards.check(1, FORGETFUL)
