"""What a change of code does not alter is kept on the user's word, and only that; the word is written down and shown."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.errors import UserError
from flows import dvc_lock, lineage
from flows.acceptance import accept
from flows.graph import Graph
from tests.toy_workspace import component, dvc

ROOT = Path(__file__).parents[1]
LATE = "components/toy/late.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which everything ran."""
    root = component(tmp_path_factory.mktemp("ran"))
    dvc(root, "repro", "-q")
    return root


@pytest.fixture
def root(ran: Path, tmp_path: Path) -> Path:
    subprocess.run(["cp", "-a", f"{ran}/.", tmp_path], check=True)
    return tmp_path


def write(root: Path, file: str, text: str) -> None:
    (root / file).write_text(text)


def test_a_comment_makes_only_code_stale_and_a_statement_what_reaches_it(root: Path) -> None:
    lock = dvc_lock.read(root)
    write(root, LATE, "LATE = ''  # a comment\n")
    assert Graph.read(root).changed() == {"code"}
    dvc(root, "repro", "-q")
    assert dvc_lock.read(root)["toy"].key == lock["toy"].key
    write(root, LATE, "LATE = 'more'\n")
    dvc(root, "repro", "-q")
    assert (root / "end.txt").read_text() == "one\nprompt\n1more"
    assert dvc_lock.read(root)["toy"].key != lock["toy"].key


def test_an_accepted_change_of_code_runs_nothing_and_leaves_nothing_to_run(root: Path) -> None:
    old = dvc_lock.read(root)["toy"]
    write(root, LATE, "LATE = '' + ''\n")
    (told,) = accept(root, ["toy"])
    new = dvc_lock.read(root)["toy"]
    assert told == f"toy: kept as it is; now {new.key}, was {old.key}"
    assert Graph.read(root).changed() == set()
    assert new.outs == old.outs and new.accepted_from == old.key
    (noted,) = json.loads((root / dvc_lock.ACCEPTED).read_text()).values()
    assert noted["made_with"]["code/toy.json"] == old.code[0].md5 != noted["accepted_with"]["code/toy.json"] == new.code[0].md5
    assert accept(root, ["to*", "end"]) == [f"{stage}: its code is the recorded one, nothing to accept" for stage in ("toy", "end")]


def test_a_chain_of_accepted_changes_leads_to_the_run_and_ends_where_its_code_is_back(root: Path) -> None:
    made = dvc_lock.read(root)["toy"].key
    for text, origin in (("LATE = '' + ''\n", made), ("LATE = str()\n", made), ("LATE = ''\n", "")):
        write(root, LATE, text)
        accept(root, ["toy"])
        assert dvc_lock.read(root)["toy"].accepted_from == origin
    assert dvc_lock.read(root)["toy"].key == made


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda root: write(root, file, (root / file).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (edit("data/one.txt", "one", "two"), r"toy: more than its code has changed \(data\); `dvc repro toy`"),
        (edit("prompt.md", "prompt", "other"), r"toy: more than its code has changed \(prompt.md\)"),
        (edit("params.yaml", "scale: 1", "scale: 2"), r"toy: more than its code has changed \(params.yaml: toy\)"),
        (edit("dvc.yaml", "--metrics metrics.json", "--metrics  metrics.json"), r"\(its command in dvc.yaml\)"),
        (edit("out.txt", "one", "two"), r"toy: out.txt: not as it was made; `dvc checkout`"),
        (lambda root: (root / "out.txt").unlink(), r"toy: out.txt: not as it was made"),
        (lambda root: (root / "dvc.lock").unlink(), r"toy: dvc.lock records no run of it"),
    ],
)
def test_more_than_a_change_of_code_is_refused_and_nothing_recorded(root: Path, spoil: Callable[[Path], None], reason: str) -> None:
    write(root, LATE, "LATE = '' + ''\n")
    spoil(root)
    with pytest.raises(UserError, match=reason):
        accept(root, ["toy", "end"])
    assert not (root / dvc_lock.ACCEPTED).exists()
    assert "toy" not in dvc_lock.read(root) or not dvc_lock.read(root)["toy"].accepted_from


def test_lineage_says_what_was_accepted(root: Path) -> None:
    edit("dvc.yaml", "out.txt", "models/out")(root)
    (root / "models").mkdir()
    dvc(root, "repro", "-q")
    lineage.sync(root)
    old = dvc_lock.read(root)["toy"].key
    write(root, LATE, "LATE = '' + ''\n")
    command, env = [sys.executable, "-m", "flows.cli", "accept", "toy"], {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert "toy: kept as it is; now toy@" in told.stdout, told.stderr
    lineage.sync(root)
    shown = lineage.show(lineage.trace(root, "out"))
    assert f"made as {old}, accepted when its code had changed" in shown
    with lineage.tracking_store(root) as store:
        (run,) = store.client.search_runs([store.experiment], f"tags.`dvc.accepted_from` = '{old}'")
    assert run.data.tags["dvc.stage"] == "toy"
