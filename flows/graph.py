"""DVC's graph: stages, their order, who needs whom, what changed, and what dvc.lock recorded.

Reads dvc.yaml, dvc.lock and params.yaml through `Repo.index`, which DVC does not document as stable: all use of it is here; its command
line is called in fork_server.py. Runs nothing, and does not know what a stage computes. Writes dvc.lock where it is told to: `commit`,
`normalize_lock`.
"""

import io
import logging
import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from components.core.errors import UserError
from components.core.params import did_you_mean
from components.core.runner import remove

log = logging.getLogger(__name__)
CODE = "code"
"""The stage that says what of the code has changed: its outputs are what all others depend on."""
LOCK_HEADER = "schema: '2.0'\nstages:\n"


class Stage(NamedTuple):
    """One stage of dvc.yaml (`train@cot`) with the stages it needs, its output paths, and its `meta` mapping."""

    name: str
    needs: tuple[str, ...]
    outs: tuple[str, ...]
    meta: dict[str, Any]


class Difference(NamedTuple):
    """Where a stage is not as dvc.lock recorded it: paths of dependencies and outputs, keys of params.yaml, the command."""

    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]
    command: bool


class Graph(NamedTuple):
    """All stages of the workspace at `root`, by name, in the order in which `dvc repro` runs them."""

    root: Path
    stages: dict[str, Stage]

    @classmethod
    def read(cls, root: Path) -> "Graph":
        """Raises UserError where there is no workspace, or where dvc.yaml cannot be read."""
        with _repo(root) as repo:
            return cls(root, _stages(repo))

    @classmethod
    def read_with_changes(cls, root: Path) -> tuple["Graph", set[str]]:
        """The graph and its `changed` stages, in one reading."""
        with _repo(root) as repo:
            return cls(root, _stages(repo)), _changed(repo)

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(self.stages)

    def changed(self) -> set[str]:
        """Stages whose inputs, command or outputs differ from dvc.lock, judged with today's files; empty: nothing to do."""
        with _repo(self.root) as repo:
            return _changed(repo)

    def difference(self, stage: str) -> Difference:
        """What of one stage differs from dvc.lock, with today's files."""
        with _repo(self.root) as repo:
            found = next(one for one in repo.index.stages if getattr(one, "name", None) == stage)
            params = [key for dep in found.deps if hasattr(dep, "params") for changed in dep.status().values() for key in changed]
            deps = [str(dep.def_path) for dep in found.deps if not hasattr(dep, "params") and dep.status()]
            outs = [str(out.def_path) for out in found.outs if out.workspace_status()]
            return Difference(tuple(deps), tuple(outs), tuple(map(str, params)), bool(found.cmd_changed))

    def commit(self, stages: Iterable[str]) -> None:
        """Records stages with the dependencies and outputs that are there now, and runs nothing."""
        with chdir(self.root), _repo(Path()) as repo:  # DVC looks the stages of a commit up from the current folder
            for stage in stages:
                repo.commit(stage, force=True, relink=False)
        self.normalize_lock()

    def matching(self, patterns: Iterable[str]) -> set[str]:
        """Stages whose names match one of the shell-style patterns (`train@*`); a pattern without a stage is a UserError."""
        found: set[str] = set()
        for pattern in patterns:
            some = self.named([pattern])
            if not some:
                raise UserError(f"dvc.yaml: no stage '{pattern}'{did_you_mean(pattern, list(self.stages))}")
            found |= some
        return found

    def named(self, patterns: Iterable[str]) -> set[str]:
        """The same, where a pattern may match none."""
        return {name for name in self.stages for pattern in patterns if fnmatchcase(name, pattern)}

    def with_upstream(self, targets: Iterable[str]) -> set[str]:
        """The targets and everything they need, near or far."""
        found: set[str] = set()
        for name in reversed(self.order):
            if name in found or name in targets:
                found |= {name, *self.stages[name].needs}
        return found

    def with_downstream(self, sources: Iterable[str]) -> set[str]:
        """The sources and everything that needs them, near or far."""
        found = set(sources)
        for name, step in self.stages.items():
            if found.intersection(step.needs):
                found.add(name)
        return found

    def chain_lengths(self) -> dict[str, int]:
        """Of each stage, how many stand one behind the other from it to the farthest end; who begins with the longest ends sooner."""
        found = dict.fromkeys(self.order, 1)
        for name in reversed(self.order):
            for need in self.stages[name].needs:
                found[need] = max(found[need], found[name] + 1)
        return found

    def entry(self, stage: str) -> dict[str, Any]:
        """What dvc.lock recorded of a stage; {} when it never ran."""
        return entries(self.root).get(stage, {})

    def normalize_lock(self) -> None:
        """Puts the records of dvc.lock into the order of `dvc repro`, whichever of two stages ended first; stages that are gone are
        dropped with what they wrote here, which DVC's cache keeps.

        DVC itself appends new records as they end and never removes one.
        """
        from dvc.utils.serialize import dump_yaml, load_yaml

        path = self.root / "dvc.lock"
        if not path.exists():
            return
        lock = load_yaml(os.fspath(path))
        kept = {name: lock["stages"][name] for name in self.order if name in lock["stages"]}
        self._clear(record for name, record in lock["stages"].items() if name not in kept)
        if list(kept) != list(lock["stages"]):
            partial = path.with_name(".dvc.lock.partial")
            dump_yaml(os.fspath(partial), {**lock, "stages": kept})
            partial.replace(path)

    def _clear(self, gone: Iterable[Mapping[str, Any]]) -> None:
        """Takes outputs away that no stage writes any more: who reads the folder around them must not find them."""
        written = [Path(out) for step in self.stages.values() for out in step.outs]
        for path in (Path(out["path"]) for record in gone for out in record.get("outs", [])):
            if not any(path == out or path in out.parents or out in path.parents for out in written):
                remove(self.root / path)
                with suppress(OSError):  # others lie beside it
                    (self.root / path).parent.rmdir()
                log.info("%s: no stage writes it any more; removed here, DVC's cache keeps it", path)


def entries(root: Path) -> dict[str, dict[str, Any]]:
    """All recorded stages of dvc.lock, as plain data."""
    from ruamel.yaml import YAML

    path = root / "dvc.lock"
    return dict(YAML(typ="safe").load(path)["stages"]) if path.exists() else {}


@contextmanager
def _repo(root: Path) -> Iterator[Any]:
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    parse_once()
    try:
        with Repo(os.fspath(root)) as repo:
            yield repo
    except LockError as error:
        raise UserError(f"{root}: another DVC command is at work here; wait for it: {_reason(error)}") from None
    except DvcException as error:
        raise UserError(f"{root}: {_reason(error)}; run inside the project, and see that dvc.yaml can be read (`dvc status`)") from None


@cache
def parse_once() -> None:
    """Has DVC, in this process, parse equal texts once, dvc.lock, which has no comments to keep, by libyaml, and write only its news anew.

    Else it parses params.yaml ten times for each stage, and, to write its record, reads and writes 5,000 lines of dvc.lock in pure Python,
    twice: half of a second.
    """
    from dvc.utils.serialize import _yaml

    parse, dump, parsed, lock = _yaml.parse_yaml, _yaml._dump, dict[Any, bytes](), [""]

    def once(text: Any, path: Any, typ: str = "safe") -> Any:
        is_lock = Path(path).name == "dvc.lock"
        if typ != "safe" and not is_lock:
            return parse(text, path, typ)
        if text not in parsed:
            parsed[text] = pickle.dumps(parse(text, path))
        if is_lock:
            lock[0] = text
        return pickle.loads(parsed[text])  # each reader may change what it gets

    def news(data: Any, stream: TextIO) -> None:
        blocks = re.split(r"^(?=  [^ ])", lock[0], flags=re.MULTILINE)
        entries = pickle.loads(parsed[lock[0]])["stages"] if lock[0].startswith(LOCK_HEADER) else {}
        if not entries or list(data) != ["schema", "stages"] or len(blocks) != 1 + len(entries):
            dump(data, stream)
            return
        written = {repr(pair): block for pair, block in zip(entries.items(), blocks[1:], strict=True)}
        stream.write(blocks[0])
        for pair in data["stages"].items():
            stream.write(written.get(repr(pair)) or _block(dump, pair))

    _yaml.parse_yaml, _yaml._dump = once, news


def _block(dump: Callable[[Any, TextIO], None], pair: tuple[str, Any]) -> str:
    text = io.StringIO()
    dump({"stages": dict([pair])}, text)
    return text.getvalue().removeprefix("stages:\n")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())


def _stages(repo: Any) -> dict[str, Stage]:
    import networkx as nx

    graph = repo.index.graph
    stages = [stage for stage in nx.dfs_postorder_nodes(graph) if getattr(stage, "name", None)]
    return {stage.name: _stage(stage, graph.successors(stage)) for stage in stages}


def _changed(repo: Any) -> set[str]:
    return {name.rpartition(":")[2] for name in repo.status()}


def _stage(stage: Any, needs: Iterable[Any]) -> Stage:
    outs = tuple(str(out.def_path) for out in stage.outs)
    return Stage(stage.name, tuple(sorted(need.name for need in needs if getattr(need, "name", None))), outs, dict(stage.meta or {}))
