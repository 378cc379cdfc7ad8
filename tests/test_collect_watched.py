"""What DVC sees of a source: a new row, a new topic, another digest or seed makes that entry's own stage stale, and no other's."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core import overlays
from flows.graph import Graph
from tests.collecting import FILE, jsonl
from tests.toy import dvc, workspace

ROOT = Path(__file__).parents[1]
TABLES = {name: {**FILE, "path": f"mine/{name}", "licence": "MIT", "id": None} for name in ("one.jsonl", "folder")}
OVERLAY = {
    "sources": {
        "generated": {"generated": {"num_problems": 4}, "exam": {"num_problems": 4}},
        "files": {"one": TABLES["one.jsonl"], "folder": TABLES["folder"], "forum": {"path": "mine/topics.jsonl"}},
    }
}
STAGES = ["generate@generated", "generate@exam", "collect@one", "collect@folder", "collect@forum"]
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own graph over small sources, after all of them were collected."""
    root = workspace(tmp_path_factory.mktemp("watched") / "project")
    for name in ("components", "infra"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", root / "dvc.yaml")
    (root / "infra/profiles/mine.yaml").write_text(json.dumps(OVERLAY), encoding="utf-8")
    (root / "mine/folder").mkdir(parents=True)
    for name in ("one.jsonl", "folder/part.jsonl"):
        jsonl(root / "mine" / name, {"problem": f"How many letters has {name}?", "answer": 9})
    jsonl(root / "mine/topics.jsonl", {"id": "a", "posts": ["What is 2 + 3?"]})
    overlays.use(["mine"], root)
    dvc(root, "repro", "--quiet", "--single-item", *STAGES)
    assert not Graph.read(root).changed() & set(STAGES)
    return root


def append(name: str, **record: object) -> Change:
    def change(root: Path) -> None:
        with (root / "mine" / name).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")

    return change


def param(group: str, name: str, **fields: object) -> Change:
    def change(root: Path) -> None:
        over = {"over": ["mine"], "sources": {group: {name: fields}}}
        (root / "infra/profiles/more.yaml").write_text(json.dumps(over), encoding="utf-8")
        overlays.use(["more"], root)

    return change


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (append("one.jsonl", problem="A new row?", answer=1), "collect@one"),
        (append("folder/part.jsonl", problem="A new row?", answer=1), "collect@folder"),
        (append("folder/more.jsonl", problem="A new file?", answer=1), "collect@folder"),
        (append("topics.jsonl", id="b", posts=["A new topic."]), "collect@forum"),
        (param("files", "one", limit=7), "collect@one"),
        (param("generated", "exam", seed=3), "generate@exam"),
    ],
)
def test_a_change_of_one_source_is_seen_by_its_own_stage_alone(collected: Path, tmp_path: Path, change: Change, stale: str) -> None:
    root = tmp_path / "project"
    shutil.copytree(collected, root, symlinks=True)
    change(root)
    assert Graph.read(root).changed() & set(STAGES) == {stale}


def test_a_new_entry_is_a_new_stage_and_touches_no_other(collected: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(collected, root, symlinks=True)
    param("files", "two", **TABLES["one.jsonl"])(root)
    graph = Graph.read(root)
    assert graph.changed() & {*STAGES, "collect@two"} == {"collect@two"}
    assert "collect@two" in graph.steps["curate"].needs
    assert graph.steps["extract"].needs == ("collect@forum",)
