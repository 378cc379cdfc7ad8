"""What DVC sees of a source: a new row, a new topic, another digest or seed makes that entry's own stage stale, and no other's."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from components.core import overlays
from components.core.params import read
from flows.graph import Graph
from tests.collect_fixtures import FILE, jsonl
from tests.workspace_fixtures import dvc, workspace

ROOT = Path(__file__).parents[1]
TABLE = {**FILE, "licence": "MIT"}
OVERLAY: dict[str, Any] = {
    "files": {
        "one": TABLE | {"path": "mine/one.jsonl"},
        "folder": TABLE | {"path": "mine/folder"},
        "forum": {"path": "mine/topics.jsonl"},
    }
}
STAGES = {"generate@generated", "generate@exam", "collect@one", "collect@folder", "collect@forum"}


def collected(root: Path) -> Path:
    """The project's own stages of the sources, over small ones, as they are once all were collected; what they wrote is made up."""
    workspace(root)
    for name in ("components", "infra"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    whole = read(ROOT / "dvc.yaml")
    kept = {name: whole["stages"][name] for name in ("generate", "collect", "download", "extract", "curate")}
    (root / "dvc.yaml").write_text(json.dumps({**whole, "stages": kept}), encoding="utf-8")
    (root / "mine/folder").mkdir(parents=True)
    (root / "code").mkdir()
    for name in ("collect", "extract", "curate"):
        (root / f"code/{name}.json").write_text("{}", encoding="utf-8")
    for name in ("one.jsonl", "folder/part.jsonl", "topics.jsonl"):
        jsonl(root / "mine" / name, {"row": 1})
    use_overlay(root, OVERLAY)
    for step in Graph.read(root).stages.values():
        for out in step.outs if step.name in STAGES else ():
            (root / out).parent.mkdir(parents=True, exist_ok=True)
            (root / out).write_text(step.name, encoding="utf-8")
    dvc(root, "commit", "--quiet", "--force", *STAGES)
    return root


def use_overlay(root: Path, sources: dict[str, Any]) -> None:
    (root / "infra/profiles/mine.yaml").write_text(json.dumps({"sources": sources}), encoding="utf-8")
    overlays.use(["mine"], root)


def test_a_change_of_one_source_is_seen_by_its_own_stage_alone(tmp_path: Path) -> None:
    root = collected(tmp_path / "project")
    stale = [Graph.read(root).changed() & STAGES]
    for name in ("one.jsonl", "folder/more.jsonl", "topics.jsonl"):
        with (root / "mine" / name).open("a", encoding="utf-8") as lines:
            lines.write('{"row": 2}\n')
        stale.append(Graph.read(root).changed() & STAGES)
    use_overlay(
        root, {**OVERLAY, "generated": {"exam": {"seed": 3}}, "files": {**OVERLAY["files"], "two": TABLE | {"path": "mine/one.jsonl"}}}
    )
    graph = Graph.read(root)
    stale.append(graph.changed() & {*STAGES, "collect@two"})
    new = [now - before for before, now in pairwise(stale)]
    assert (stale[0], new) == (set(), [{"collect@one"}, {"collect@folder"}, {"collect@forum"}, {"generate@exam", "collect@two"}])
    assert "collect@two" in graph.stages["curate"].needs
    assert graph.stages["extract"].needs == ("collect@forum",)
