"""A Ray cluster of two workers on this machine: shards of a run as tasks, one worker killed on the way, and rows by Ray Data."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from components.collect.stage import collect
from components.core import map_batches as batches
from components.core import rows
from components.core.errors import UserError
from components.core.ordered_rows import OrderedWriter
from components.core.params import PARAMS
from components.core.ray_cluster import RETRIES
from components.core.runner import Metrics
from components.core.types import Problem, QuestionRecord
from components.lib.engine.concurrency import map_resumable
from components.lib.engine.config import Engines
from components.lib.engine.protocol import Engine, EngineError
from components.lib.engine.scripted import RecordedReply, ScriptedEngine, ScriptedSettings
from components.lib.engine.shards import ShardedEngine
from components.lib.rules.time_budget import Buffer, Fixed
from components.solve import shards
from components.solve.exam_run import LoggedQuestion, QuestionLog
from components.solve.stage import _run, solve
from tests import test_curate_stage as curating
from tests import test_extract as extracting
from tests.collect_fixtures import entry
from tests.question_fixtures import CAPACITY, CONTEST, HOSTS, SANDBOX
from tests.row_fixtures import problem, question_record
from tests.test_solve import TEACHER, exam

NUM = 20
NUM_ROWS = batches.BATCH * 5 // 2
GREEDY = extracting.GREEDY
FORGETFUL = Fixed(kind="fixed", question_s=350.0, exam_s=1e6)


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


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    return list(rows.read(exam(tmp_path_factory.mktemp("exam"), NUM), Problem))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, engines: Engines) -> Path:
    """The folder of a run in one piece."""
    folder = tmp_path_factory.mktemp("whole")
    sealed(folder, engines, 1)
    return folder


def teaching(engines: Engines) -> shards.RunShard:
    return partial(_run, TEACHER, engines, SANDBOX, CONTEST, HOSTS, CAPACITY, Path("components/lib/arithmetic"))


async def dying(part: shards.RunShard, once: Path, asked: Sequence[Problem], kept: Path) -> Metrics:
    """The worker of the shard with problem 1 is killed when it is half done; once, or always where `once` is a folder."""
    if any(problem.id == "generated-1" for problem in asked):
        if once.is_dir():
            os.kill(os.getpid(), signal.SIGKILL)
        if not once.exists():
            once.touch()
            await part(asked[: len(asked) // 2], kept)
            os.kill(os.getpid(), signal.SIGKILL)
    return await part(asked, kept)


def sealed(folder: Path, engines: Engines, num: int) -> bytes:
    """What the stage seals with so many shards."""
    (folder / "work").mkdir()
    solve(
        TEACHER.model_copy(update={"shards": num}), engines, SANDBOX, CONTEST, HOSTS, CAPACITY, problems=exam(folder, NUM),
        model=Path("components/lib/arithmetic"), out=folder / "out.parquet", questions=folder / "questions.parquet", work=folder / "work",
    )  # fmt: skip
    return bytes_of(folder)


def bytes_of(folder: Path) -> bytes:
    return (folder / "out.parquet").read_bytes() + (folder / "questions.parquet").read_bytes()


def logged_questions(kept: Path, asked: Sequence[Problem]) -> list[LoggedQuestion]:
    """In the problems' order; `elapsed` is a shard's own."""
    return [question.model_copy(update={"elapsed": 0.0}) for question in QuestionLog(kept, [problem.id for problem in asked])]


def test_shards_seal_the_same_bytes_as_one_run(tmp_path: Path, whole: Path, engines: Engines, cluster: None) -> None:
    assert sealed(tmp_path, engines, 2) == bytes_of(whole)


def test_a_killed_workers_shard_is_sat_again_and_nothing_is_there_twice(
    tmp_path: Path, whole: Path, asked: list[Problem], engines: Engines, cluster: None
) -> None:
    kept, once = tmp_path / "questions.jsonl", tmp_path / "killed"
    measured = shards.run(2, partial(dying, teaching(engines), once), asked, kept)
    assert once.exists(), "a worker was killed"
    assert len(list(rows.read(kept, LoggedQuestion))) == NUM
    assert logged_questions(kept, asked) == logged_questions(whole / "work" / "questions.jsonl", asked)
    assert measured["engine"].startswith("teacher") and ", " not in measured["isolation"]


def test_a_killed_run_goes_on_with_what_is_missing(
    tmp_path: Path, whole: Path, asked: list[Problem], engines: Engines, cluster: None
) -> None:
    """The even problems are in, and two of the others, and half a line."""
    lines, kept = (whole / "work" / "questions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True), tmp_path / "questions.jsonl"
    lines.sort(key=lambda line: LoggedQuestion.model_validate_json(line).record.place % 2)
    kept.write_text("".join(lines[: NUM // 2 + 2]) + lines[-1][:40], encoding="utf-8")
    shards.run(2, teaching(engines), asked, kept)
    assert logged_questions(kept, asked) == logged_questions(whole / "work" / "questions.jsonl", asked)


def test_a_shard_that_kills_every_worker_is_an_error(tmp_path: Path, asked: list[Problem], engines: Engines, cluster: None) -> None:
    with pytest.raises(EngineError, match=f"failed {RETRIES + 1} times"):
        shards.run(2, partial(dying, teaching(engines), tmp_path), asked, tmp_path / "questions.jsonl")


def told_of(number: int) -> RecordedReply:
    return RecordedReply(key=f"p/{number}", reply=f"reply {number}")


async def asking(once: Path, engine: Engine, number: int) -> RecordedReply:
    """What is recorded; the worker that is asked for number 7 is killed, once or, where `once` is a folder, always."""
    if number == 7 and (once.is_dir() or not once.exists()):
        if not once.exists():
            once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    said = await engine.complete(engine.encode(""), GREEDY, key=f"p/{number}", seed=1)
    return RecordedReply(key=f"p/{number}", reply=said.text)


def mapped(folder: Path, once: Path, num: int = NUM) -> list[RecordedReply]:
    """What two engines answer to so many requests."""
    with rows.JsonlWriter(folder / "replies.jsonl") as replies:
        for number in range(NUM):
            replies.append(told_of(number))

    async def scene() -> None:
        opened = partial(ScriptedEngine, ScriptedSettings(step_s=0.1), folder / "replies.jsonl")
        async with ShardedEngine(2, opened) as engine:
            await map_resumable(engine, range(num), partial(asking, once), RecordedReply, folder / "rows.jsonl", 3)

    asyncio.run(scene())
    return list(rows.read(folder / "rows.jsonl", RecordedReply))


def test_engines_on_two_machines_answer_in_order_though_a_worker_is_killed(tmp_path: Path, cluster: None) -> None:
    assert mapped(tmp_path, tmp_path / "killed") == [told_of(number) for number in range(NUM)]
    assert (tmp_path / "killed").exists()


def test_an_engine_that_kills_every_worker_is_an_error_and_what_was_answered_is_kept(tmp_path: Path, cluster: None) -> None:
    """Number 7 was asked for when two of the first six were answered."""
    with pytest.raises(EngineError, match=f"failed {RETRIES + 1} times"):
        mapped(tmp_path, tmp_path)
    with OrderedWriter(tmp_path / "rows.jsonl", RecordedReply) as kept:
        assert 2 <= len(kept) <= NUM - 1 and 7 not in kept


def test_what_an_engine_raises_on_its_machine_is_raised_here_as_it_was(tmp_path: Path, cluster: None) -> None:
    with pytest.raises(EngineError, match=f"^scripted .* no reply was recorded for the key 'p/{NUM}'"):
        mapped(tmp_path, tmp_path / "killed", NUM + 1)


def test_two_machines_extract_the_same_bytes(tmp_path: Path, cluster: None) -> None:
    topics = tmp_path / "topics"
    fields = {"path": str(extracting.ROOT / "infra/corpus/topics.jsonl"), "sha256": None, "licence": "Apache-2.0", "max_tokens": 24_000}
    collect(entry("files.forum", kind="forum", use="topics", **fields), CONTEST, out=topics / "forum")
    for num in (1, 2):
        (tmp_path / str(num)).mkdir()
        extracting.run(topics, tmp_path / str(num) / "out", extracting.CONFIG.model_copy(update={"shards": num}))
    for name in ("problems.parquet", "dropped.parquet"):
        assert (tmp_path / "1/out" / name).read_bytes() == (tmp_path / "2/out" / name).read_bytes()


def test_an_error_of_a_shard_is_the_users_as_it_was_raised(tmp_path: Path, asked: list[Problem], engines: Engines, cluster: None) -> None:
    part = partial(_run, TEACHER.model_copy(update={"engine": "teecher"}), engines, SANDBOX, CONTEST, HOSTS, CAPACITY, tmp_path)
    with pytest.raises(UserError, match=r"^params\.yaml: engine: no engine 'teecher'"):
        shards.run(2, part, asked, tmp_path / "questions.jsonl")


def test_a_clock_with_a_memory_is_refused(tmp_path: Path) -> None:
    clock = Buffer(kind="buffer", base_s=350.0, cap_s=210.0, exam_s=1e6)
    with pytest.raises(UserError, match=r"time_budget buffer.*shards: 1"):
        shards.check(2, clock)
    shards.check(1, clock)


def test_more_than_one_shard_needs_ray_and_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"aimo-forge\[cluster\]"):
        shards.check(2, FORGETFUL)
    shards.check(1, FORGETFUL)


def test_rows_are_worked_on_by_ray_data_in_their_order(cluster: None, tmp_path: Path) -> None:
    file = tmp_path / "problems.parquet"
    rows.write(file, [problem(f"p{number}", number) for number in range(NUM_ROWS)], Problem)
    here = list(batches.map_batches(_named, file, Problem, None))
    assert list(batches.map_batches(_named, file, Problem, batches.LOCAL)) == here == [f"p{number}={number}" for number in range(NUM_ROWS)]


def test_a_cluster_gives_curate_the_same_bytes(cluster: None, tmp_path: Path) -> None:
    given = {
        "files": [problem(f"h{n}", n % 1000, f"How many of {n} sheep are white?") for n in range(NUM_ROWS)],
        "olympic": curating.OLYMPIC,
        "poems": curating.POEMS,
    }
    curating.run(tmp_path / "here", **given)
    curating.run(tmp_path / "there", cluster=batches.LOCAL, **given)
    for path in sorted((tmp_path / "here/out").iterdir()):
        assert path.read_bytes() == (tmp_path / "there/out" / path.name).read_bytes()


def test_what_a_worker_cannot_read_is_said_with_its_file(cluster: None, tmp_path: Path) -> None:
    file = tmp_path / "problems.parquet"
    rows.write(file, [question_record("p")], QuestionRecord)
    with pytest.raises(UserError, match=r"problems.parquet: a batch failed on the cluster(.|\n)*wanted: Problem"):
        list(batches.map_batches(_named, file, Problem, batches.LOCAL))


def _named(batch: list[Problem]) -> list[str]:
    return [f"{one.id}={one.answer}" for one in batch]
