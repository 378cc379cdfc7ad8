"""The walk: DVC's own result, stages side by side, own words of a failure, nothing left behind, nothing done twice."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.core.errors import UserError
from flows.fork_server import ForkServer
from flows.graph import Graph
from flows.walk import Outcome, StageFailed, end_orphans, run_stage, stage_error, walk
from flows.workspace import workspace_lock
from tests.workspace_fixtures import dvc, workspace

ROOT = Path(__file__).parents[1]
SLEEP = "sleep 60 & sleep 61; cp a.txt b.txt"


def walked(root: Path, parallel: int = 2) -> dict[str, str]:
    graph = Graph.read(root)
    with ForkServer() as server:
        outcomes = walk(graph, set(graph.order), lambda stage: run_stage(server, stage, root, lambda *_: None), parallel)
    return {outcome.stage: outcome.status for outcome in outcomes}


def test_the_walk_leaves_the_lock_of_dvc_repro_and_does_nothing_twice(tmp_path: Path) -> None:
    ours, theirs = workspace(tmp_path / "ours"), workspace(tmp_path / "theirs")
    assert walked(ours) == dict.fromkeys(["first", "left", "right", "join"], "run")
    dvc(theirs, "repro", "-q")
    assert (ours / "dvc.lock").read_bytes() == (theirs / "dvc.lock").read_bytes()
    assert walked(ours) == dict.fromkeys(["first", "left", "right", "join"], "cached")
    (ours / "params.yaml").write_text("scale: 2\n")
    assert walked(ours) == {"first": "cached", "left": "run", "right": "cached", "join": "cached"}


def test_dvc_s_record_is_written_as_dvc_writes_it() -> None:
    """Only what changed is written anew; the project's own record, as it is and edited."""
    script = """if True:
        import io, sys
        from dvc.utils.serialize import _yaml
        theirs = _yaml._dump
        from flows.graph import parse_once
        parse_once()
        def dumped(dump, data):
            stream = io.StringIO()
            dump(data, stream)
            return stream.getvalue()
        text = open("dvc.lock", encoding="utf-8").read()
        data = _yaml.parse_yaml_for_update(text, "dvc.lock")
        assert dumped(_yaml._dump, data) == text == dumped(theirs, data)
        data["stages"]["vote@cot"]["cmd"] += " --more" * 30
        data["stages"]["new"] = {"cmd": "x", "outs": [{"path": "a", "md5": "007"}]}
        del data["stages"]["code"]
        assert dumped(_yaml._dump, data) == dumped(theirs, data) != text
    """
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_independent_stages_run_side_by_side(tmp_path: Path) -> None:
    graph = Graph.read(workspace(tmp_path))
    both = threading.Barrier(2, timeout=30)

    def run(stage: str) -> Outcome:
        if stage in ("left", "right"):
            both.wait()
        return Outcome(stage, "run", 0.0)

    assert len(walk(graph, set(graph.order), run, 2)) == 4


def test_a_failure_says_the_stage_s_own_words_and_stops_the_walk(tmp_path: Path) -> None:
    root = workspace(tmp_path, "echo 'error: no teacher; give one' >&2; exit 3")
    graph = Graph.read(root)
    with ForkServer() as server:
        outcomes = walk(graph, set(graph.order), lambda stage: run_stage(server, stage, root, lambda *_: None), 2)
    assert {o.stage: o.status for o in outcomes} == {"first": "run", "left": "failed", "right": "run"}
    assert outcomes[1].error == "error: no teacher; give one"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Running stage 'x':", "> python x", "error: a\n", "error: b", "  more", "ERROR: failed to reproduce 'x'"], "error: b\n  more"),
        (
            ["> x", "one", "Traceback (most recent call last):", "  File", "KeyError: 1", "ERROR: failed"],
            "Traceback (most recent call last):\n  File\nKeyError: 1",
        ),
        (["Running stage 'x':", "> x", "Killed", "ERROR: failed"], "Killed"),
        (["ERROR: missing data 'source': in.txt"], "ERROR: missing data 'source': in.txt"),
    ],
)
def test_own_words(lines: list[str], words: str) -> None:
    assert stage_error(lines) == words


def test_an_interrupted_walk_ends_all_stages_with_their_children(tmp_path: Path) -> None:
    root = workspace(tmp_path, SLEEP, SLEEP.replace("b.txt", "c.txt"))
    graph, seen = Graph.read(root), []

    def interrupted_when_both_run(stage: str, line: str) -> None:
        seen.extend([stage] if line.startswith("> sleep") else [])
        if len(set(seen)) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ForkServer() as server:
        walk(graph, set(graph.order), lambda stage: run_stage(server, stage, root, interrupted_when_both_run), 2)
    assert time.monotonic() - started < 40
    assert not sleepers(root)
    assert not list((root / ".aimo/running").glob("*"))


def test_a_killed_walk_takes_its_fork_server_and_its_stages_along_and_is_resumed_by_the_next(tmp_path: Path) -> None:
    root = workspace(tmp_path, "test -e again || sleep 60; cp a.txt b.txt")
    with killed_while_it_sleeps(root) as (victim, server):
        victim.kill()
        until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    assert not sleepers(root)
    assert end_orphans(root) == []
    (root / "again").touch()
    then = walked(root)
    assert (then["first"], then["left"], then["join"]) == ("cached", "run", "run")


def test_what_outlives_a_killed_fork_server_is_ended_by_the_next_walk(tmp_path: Path) -> None:
    root = workspace(tmp_path, "sleep 60; cp a.txt b.txt")
    with killed_while_it_sleeps(root) as (victim, server):
        victim.suspend()
        server.kill()
        victim.kill()
    assert sleepers(root), "the stage lives on: nobody could end it"
    assert "left" in end_orphans(root)
    assert not sleepers(root)


def test_one_fork_server_walks_two_workspaces_that_know_nothing_of_each_other(tmp_path: Path) -> None:
    roots = [workspace(tmp_path / name, left=f"echo {name} > b.txt") for name in ("one", "other")]
    with ForkServer() as server, ThreadPoolExecutor(2) as pool:

        def walk_it(root: Path) -> list[str]:
            graph = Graph.read(root)
            return [done.status for done in walk(graph, set(graph.order), lambda stage: run_stage(server, stage, root, lambda *_: None), 2)]

        assert [*pool.map(walk_it, roots)] == [["run"] * 4] * 2
    for name, root in zip(("one", "other"), roots, strict=True):
        plain = workspace(tmp_path / f"plain-{name}", left=f"echo {name} > b.txt")
        dvc(plain, "repro", "-q")
        assert (root / "dvc.lock").read_bytes() == (plain / "dvc.lock").read_bytes()


def test_a_stage_has_the_environment_of_the_moment_and_a_session_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, said = workspace(tmp_path), list[str]()
    told = 'echo "told $TOLD in $(ps -o sid= -p $$)"; cp'
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("cmd: cp", f"cmd: {told}"))
    monkeypatch.setenv("TOLD", "before")
    with ForkServer() as server:
        for word in ("once", "twice"):
            monkeypatch.setenv("TOLD", word)
            (root / "in.txt").write_text(word)
            run_stage(server, "first", root, lambda _, line: said.append(line))
        sessions = {line.split()[-1] for line in said if line.startswith("told ")}
        assert [line.split()[1] for line in said if line.startswith("told ")] == ["once", "twice"]
        assert len(sessions) == 2 and str(os.getsid(0)) not in sessions


def test_a_leftover_s_number_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    note = tmp_path / ".aimo/running/left.json"
    note.parent.mkdir(parents=True)
    note.write_text(f'{{"pid": {os.getpid()}, "born": 1.0}}')
    assert end_orphans(tmp_path) == []
    assert not note.exists()


def test_two_runs_in_one_workspace_are_refused_by_name(tmp_path: Path) -> None:
    with workspace_lock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} is running"), workspace_lock(tmp_path):
        pass
    with workspace_lock(tmp_path):
        pass


def test_no_more_stages_than_places_and_needs_come_first(tmp_path: Path) -> None:
    graph = Graph.read(workspace(tmp_path))
    busy, most, ended, guard = 0, 0, [], threading.Lock()

    def run(stage: str) -> Outcome:
        nonlocal busy, most
        with guard:
            assert set(graph.stages[stage].needs) <= set(ended)
            busy, most = busy + 1, max(most, busy + 1)
        time.sleep(0.05)
        with guard:
            busy -= 1
            ended.append(stage)
        return Outcome(stage, "run", 0.0)

    walk(graph, set(graph.order), run, 1)
    assert most == 1
    assert sorted(ended) == sorted(graph.order)


def test_what_most_others_wait_for_begins_first(tmp_path: Path) -> None:
    """On the project's own graph, in which nothing has run yet."""
    project = Path(__file__).parents[1]
    workspace(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(project / name, tmp_path / name)
    graph, begun = Graph.read(tmp_path), list[str]()
    chain_lengths = graph.chain_lengths()
    assert all(chain_lengths[need] > chain_lengths[name] for name, step in graph.stages.items() for need in step.needs)

    def run(stage: str) -> Outcome:
        begun.append(stage)
        return Outcome(stage, "run", 0.0)

    walk(graph, set(graph.order), run, 1)
    assert begun.index("quantize@fp8") < begun.index("exam@genselect")
    assert begun.index("solve@practice") < begun.index("exam@tir")


def test_a_part_of_the_graph_is_its_targets_and_what_they_need(tmp_path: Path) -> None:
    graph = Graph.read(workspace(tmp_path))
    assert graph.with_upstream({"left"}) == {"first", "left"}
    assert graph.with_downstream({"left"}) == {"left", "join"}
    assert graph.matching(["l*", "right"]) == {"left", "right"}
    with pytest.raises(UserError, match="no stage 'lefty', did you mean 'left'"):
        graph.matching(["lefty"])


def test_a_settled_lock_is_in_order_and_holds_no_stage_that_is_gone(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    record = "  {}:\n    cmd: x\n    outs:\n    - path: {}.txt\n      hash: md5\n      md5: aaaa\n      size: 1\n"
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n" + "".join(record.format(s, s) for s in ("right", "gone", "left")))
    Graph.read(root).normalize_lock()
    assert (root / "dvc.lock").read_text() == "schema: '2.0'\nstages:\n" + "".join(record.format(s, s) for s in ("left", "right"))
    assert Graph.read(root).entry("left")["outs"][0]["path"] == "left.txt"
    assert Graph.read(root).entry("join") == {}


def test_a_folder_without_a_workspace_is_the_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run inside the project"):
        Graph.read(tmp_path)


def test_a_failing_stage_raises(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    (root / "in.txt").unlink()
    with pytest.raises(StageFailed, match=r"in\.txt"), ForkServer() as server:
        run_stage(server, "first", root, lambda *_: None)


@contextlib.contextmanager
def killed_while_it_sleeps(root: Path) -> Iterator[tuple[psutil.Process, psutil.Process]]:
    """A walk of its own that has come to a stage's `sleep`, and its fork server; the caller kills."""
    code = f"from pathlib import Path; from tests.test_walk import walked; walked(Path({str(root)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        until(lambda: sleepers(root))
        victim = psutil.Process(process.pid)
        (server,) = [child for child in victim.children() if "flows.fork_server" in child.cmdline()]
        yield victim, server


def sleepers(root: Path) -> list[int]:
    """The processes of `sleep` that stages of this workspace started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "sleep" and process.cwd() == str(root):
                found.append(process.pid)
    return found


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true thing that `true` returns."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found
