"""What dvc.lock records, as typed entries that know which entry made what they read.

Reads dvc.lock (through graph.entries), reports/accepted.json, DVC's folder manifests under .dvc/cache, and git. Writes nothing; knows
neither MLflow nor Prefect. An entry's key is its stage and a hash of all that was recorded: equal keys mean equal command, code,
parameters, inputs and outputs.
"""

import hashlib
import json
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from flows import graph

ACCEPTED = Path("reports/accepted.json")
"""Which entries no run made: their outputs are another entry's, kept by `aimo accept` when the code had changed."""


class Artifact(NamedTuple):
    """A path with the md5 that DVC knows it by (`….dir` for a folder) and its bytes."""

    path: str
    md5: str
    size: int


class LockEntry(NamedTuple):
    """One recorded stage. `needs` are the keys of the entries that made its inputs; `commit` is git's, where known.

    `accepted_from` is the key of the entry that really made its outputs, where it took them over with other code.
    """

    stage: str
    key: str
    deps: tuple[Artifact, ...]
    outs: tuple[Artifact, ...]
    params: dict[str, Any]
    needs: tuple[str, ...] = ()
    commit: str = ""
    accepted_from: str = ""

    @property
    def models(self) -> tuple[Artifact, ...]:
        """The models it read."""
        return tuple(dep for dep in self.deps if is_model(dep.path))

    @property
    def datasets(self) -> tuple[Artifact, ...]:
        """The rows it read: everything that is neither model nor code."""
        return tuple(dep for dep in self.deps if dep.path.startswith(("data/", "runs", "reports/", "infra/corpus/", "../")))

    @property
    def code(self) -> tuple[Artifact, ...]:
        """The code (as its fingerprint), prompts and pinned environments it ran with."""
        return tuple(dep for dep in self.deps if dep not in self.models and dep not in self.datasets)


def is_model(path: str) -> bool:
    return path.startswith("models/")


def is_code(path: str) -> bool:
    """Whether it is what the stage `code` wrote of a component."""
    return path.startswith("code/")


def accepted(root: Path) -> dict[str, dict[str, Any]]:
    """By the key of an entry that was accepted: `from`, the key of the one that made its outputs, and the code of both."""
    path = root / ACCEPTED
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def read(root: Path) -> dict[str, LockEntry]:
    """The entries of dvc.lock by stage, makers before readers."""
    origins = {key: str(one["from"]) for key, one in accepted(root).items()}
    recorded = {stage: _entry(stage, data) for stage, data in graph.entries(root).items()}
    recorded = {stage: entry._replace(accepted_from=origins.get(entry.key, "")) for stage, entry in recorded.items()}
    makers = {
        stage: [other for other in recorded.values() if other.stage != stage and any(_is_output(root, other, dep) for dep in entry.deps)]
        for stage, entry in recorded.items()
    }
    order = TopologicalSorter({stage: sorted(other.stage for other in made) for stage, made in sorted(makers.items())}).static_order()
    return {stage: recorded[stage]._replace(needs=tuple(sorted(other.key for other in makers[stage]))) for stage in order}


def head(root: Path) -> str:
    """The commit that is checked out; "" outside git."""
    return _git(root, "rev-parse", "HEAD").strip()


def committed(root: Path) -> tuple[str, set[str]]:
    """HEAD, and the keys of the entries that its dvc.lock holds; ("", {}) outside git."""
    from ruamel.yaml import YAML

    now = head(root)
    lock = YAML(typ="safe").load(_git(root, "show", "HEAD:./dvc.lock")) if now else None
    return now, {_entry(stage, data).key for stage, data in (lock or {}).get("stages", {}).items()}


def evaluated(entry: LockEntry, entries: dict[str, LockEntry]) -> tuple[Artifact, Artifact] | None:
    """The model and the problems that an entry's numbers are about: its own model, or that of the candidates it read."""
    problems = [dep for dep in entry.deps if dep.path.startswith("data/problems/")]
    sources = [other for other in entries.values() if other.key in entry.needs and _candidates(other, entry)]
    models = entry.models or tuple(model for source in sources for model in source.models)
    return (models[0], problems[0]) if len(problems) == len(models) == 1 else None


def _candidates(maker: LockEntry, reader: LockEntry) -> bool:
    read = {dep.path for dep in reader.deps}
    return any(out.path in read and out.path.endswith("/candidates.parquet") for out in maker.outs)


def _entry(stage: str, data: dict[str, Any]) -> LockEntry:
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    sections: dict[str, Any] = {}
    for values in data.get("params", {}).values():
        sections |= values
    return LockEntry(stage, f"{stage}@{digest}", _artifacts(data.get("deps", [])), _artifacts(data.get("outs", [])), sections)


def _artifacts(listed: list[dict[str, Any]]) -> tuple[Artifact, ...]:
    return tuple(Artifact(piece["path"], piece["md5"], piece.get("size", 0)) for piece in listed)


def _is_output(root: Path, maker: LockEntry, dep: Artifact) -> bool:
    """Whether these very bytes are the maker's: a stage that was not run again still reads what an earlier run of its maker wrote."""
    for out in maker.outs:
        if out.path == dep.path:
            return out.md5 == dep.md5
        if dep.path.startswith(f"{out.path}/"):
            return _folder_lists(root, out, dep)
        if out.path.startswith(f"{dep.path}/"):
            return True
    return False


def _folder_lists(root: Path, folder: Artifact, dep: Artifact) -> bool:
    """Whether the folder's manifest lists the file with its md5; without a manifest at hand the path has to do."""
    manifest = root / ".dvc" / "cache" / "files" / "md5" / folder.md5[:2] / folder.md5[2:]
    if not manifest.is_file() or dep.md5.endswith(".dir"):
        return True
    inside = dep.path.removeprefix(f"{folder.path}/")
    return {"md5": dep.md5, "relpath": inside} in json.loads(manifest.read_text(encoding="utf-8"))


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
