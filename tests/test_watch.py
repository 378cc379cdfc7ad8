"""What a stage depends on must be at its end what it was at its start; and nothing goes on from the half of another version."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspace_fixtures import component_workspace

FLAGS = ("--data", "data", "--out", "out.txt", "--metrics", "metrics.json")


def run(root: Path, **surroundings: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(root), **surroundings}
    return subprocess.run([sys.executable, "-m", "components.toy", *FLAGS], cwd=root, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("during", "named"),
    [
        ("echo more >> data/one.txt", "data/one.txt"),
        ("echo more > data/new.txt", "data/new.txt"),
        ("mv data/two.txt two.txt", "data/two.txt"),
        ("echo mnay > data/two.txt", "data/two.txt"),
        ("echo more >> prompt.md", "prompt.md"),
        ("sed -i 's/scale: 1/scale: 2/' params.yaml", "params.yaml"),
        ("echo 'MORE = 1' >> components/toy/late.py", "components/toy/late.py"),
        ("echo 'MORE = 1' > components/toy/another.py", "components/toy/another.py"),
        ("dd if=/dev/zero of=data/large bs=1M count=2 conv=notrunc", "data/large"),
    ],
)
def test_a_dependency_that_is_edited_while_its_stage_runs_is_found_out(tmp_path: Path, during: str, named: str) -> None:
    root = component_workspace(tmp_path, during)
    (root / "data/two.txt").write_text("many\n")
    (root / "data/large").write_bytes(bytes(2 << 20))
    (root / "out.txt").write_text("of an earlier run")
    ended = run(root)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"error: {named}: was edited while the stage ran; nothing is recorded, run again"
    assert (root / "out.txt").read_text() == "of an earlier run"
    assert not (root / "metrics.json").exists() and not list(root.glob(".partial-*"))


@pytest.mark.parametrize(
    "during",
    [
        "touch data/one.txt; cp prompt.md p; mv p prompt.md",
        "echo '# A comment.' >> components/toy/late.py",
        "echo 'other: {}' >> params.yaml",
        "mkdir -p components/toy/__pycache__ && touch components/toy/__pycache__/x.pyc .aimo/x data/.x",
    ],
)
def test_what_cannot_change_a_result_may_be_touched(tmp_path: Path, during: str) -> None:
    root = component_workspace(tmp_path, during)
    ended = run(root)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (root / "out.txt").read_text() == "one\nprompt\n1"


def test_code_that_is_newer_than_its_fingerprint_does_not_run_under_dvc(tmp_path: Path) -> None:
    root = component_workspace(tmp_path)
    (root / "code").mkdir()
    (root / "code/toy.json").write_text(json.dumps({"fingerprint": "of another version", "files": {}}))
    ended = run(root, DVC_STAGE="toy")
    assert ended.stderr == "error: components/toy: its code was edited after `code` wrote code/toy.json; run again\n"
    assert run(root).returncode == 0, "by hand it may"


@pytest.mark.parametrize(
    ("edit", "resumed"),
    [("# A comment.", True), ("MORE = 1", False)],
)
def test_nothing_goes_on_from_the_half_of_another_version(tmp_path: Path, edit: str, resumed: bool) -> None:
    root = component_workspace(tmp_path, "test -e ok")
    assert run(root).returncode == 1
    (root / "ok").touch()
    with (root / "components/toy/late.py").open("a") as file:
        file.write(edit + "\n")
    assert run(root).returncode == 0
    assert json.loads((root / "metrics.json").read_text()) == {"resumed": resumed}
