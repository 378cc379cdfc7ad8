"""The rules of the house: who may import whom, nothing listed twice unchecked, no work at import, functions one sees whole."""

import ast
import importlib
import re
import resource
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from components.core.machine import DEFAULTS
from components.core.params import read
from components.core.runner import Contract, contract

ROOT = Path(__file__).parents[1]
STAGES = sorted(path.parent.name for path in ROOT.glob("components/*/stage.py"))
FILES = sorted(path for folder in ("components", "flows") for path in (ROOT / folder).rglob("*.py"))
HOMES = {
    "prefect": ["flows/pipeline.py"],
    "mlflow": ["flows/lineage.py", "flows/registry.py"],
    "dvc": ["flows/graph.py", "flows/fork_server.py"],  # the graph's data; the command line, in a process of its own
    "great_expectations": ["components/validate"],
    "trl": ["components/train"],
    "llmcompressor": ["components/quantize/fp8_worker.py"],
    "awq": ["components/quantize/awq_worker.py"],
    "grpc": ["components/lib/kaggle"],
    "vllm": [],  # a server in an environment of its own, never imported
}


@cache
def imports(path: Path) -> frozenset[str]:
    """All modules that a file imports, at whatever depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return frozenset(found)


def ours(path: Path) -> set[Path]:
    """The project's own files that a file imports."""
    found = set()
    for name in imports(path):
        base = ROOT / name.replace(".", "/")
        found |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()}
    return found


@cache
def contracts() -> dict[str, Contract]:
    return {name: contract(getattr(importlib.import_module(f"components.{name}.stage"), name)) for name in STAGES}


@cache
def resolved() -> dict[str, tuple[str, frozenset[str], frozenset[str], frozenset[str]]]:
    """Stage of dvc.yaml: command, dependencies, outputs, keys of params.yaml."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        return {
            stage.name: (
                stage.cmd,
                frozenset(dep.def_path for dep in stage.deps if dep.def_path != "params.yaml"),
                frozenset(out.def_path for out in stage.outs),
                frozenset(key for dep in stage.deps for key in getattr(dep, "params", []) or []),
            )
            for stage in repo.index.stages
        }


def command(cmd: str) -> tuple[str, str | None, dict[str, str]]:
    """Component, key and flags of a stage's command."""
    words = shlex.split(cmd)
    assert words[:2] == ["python", "-m"]
    rest = words[3:]
    key = rest.pop(0) if not rest[0].startswith("--") else None
    return words[2].removeprefix("components."), key, {flag[2:]: value for flag, value in zip(rest[::2], rest[1::2], strict=True)}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_never_import_stages(stage: str) -> None:
    others = {f"components.{name}" for name in STAGES if name != stage}
    for file in (ROOT / "components" / stage).rglob("*.py"):
        assert not {name for name in imports(file) if any(name == other or name.startswith(other + ".") for other in others)}, file


def test_the_library_never_imports_a_stage_and_core_imports_neither() -> None:
    for file in FILES:
        parts = file.relative_to(ROOT).parts
        reached = {path.relative_to(ROOT).parts[:2] for path in ours(file)}
        if parts[:2] == ("components", "lib"):
            assert reached <= {("components", "lib"), ("components", "core"), ("components", "__init__.py")}, file
        if parts[:2] == ("components", "core"):
            assert reached <= {("components", "core"), ("components", "__init__.py")}, file


def test_the_machinery_knows_only_the_grammar_and_the_statistics() -> None:
    for file in (ROOT / "flows").glob("*.py"):
        inside = {path.relative_to(ROOT).as_posix() for path in ours(file) if path.is_relative_to(ROOT / "components")}
        allowed = {"components/__init__.py", "components/lib/__init__.py", "components/lib/statistics.py"}
        assert all(name in allowed or name.startswith("components/core/") for name in inside), file


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_has_one_home(library: str) -> None:
    users = {file.relative_to(ROOT).as_posix() for file in FILES if any(name.split(".")[0] == library for name in imports(file))}
    assert all(any(user == home or user.startswith(home + "/") for home in HOMES[library]) for user in users), users
    assert users or not HOMES[library], f"nothing imports {library} any more"


@pytest.mark.parametrize("stage", sorted(resolved()))
def test_a_command_says_what_the_signature_says(stage: str) -> None:
    cmd, deps, outs, params = resolved()[stage]
    component, key, flags = command(cmd)
    shape = contracts()[component]
    assert set(flags) == {name for name, role in shape.paths.items() if role != "work"} | {"metrics"}
    assert (key is not None) == shape.keyed
    for name, role in shape.paths.items():
        if role == "in":
            assert any(flags[name] == dep or flags[name].startswith(dep + "/") for dep in deps), (name, flags[name])
        if role == "out":
            assert flags[name] in outs
    assert flags["metrics"] in outs
    whole = read(ROOT / "params.yaml")
    assert params == {name for kind in shape.sections.values() for name in kind.entry_names(whole, ROOT / "params.yaml", key)}


def test_every_section_of_the_params_belongs_to_someone() -> None:
    from flows.promote import Promote

    kinds = [kind for shape in contracts().values() for kind in shape.sections.values()]
    named = {name for kind in [*kinds, Promote] for name in (kind.section, kind.common)}
    assert set(read(ROOT / "params.yaml")) == {name.partition(".")[0] for name in named}


def test_every_section_of_the_machine_belongs_to_someone_and_has_its_defaults() -> None:
    from flows.walk import Flow

    known = {kind.section: kind for kind in [*(kind for shape in contracts().values() for kind in shape.machine.values()), Flow]}
    whole = read(ROOT / DEFAULTS)
    assert set(whole) == set(known)
    for kind in known.values():
        kind.check(whole, DEFAULTS)


def test_the_default_profile_is_what_params_yaml_says() -> None:
    assert (ROOT / "infra/profiles/tiny.yaml").read_text(encoding="utf-8") == (ROOT / "params.yaml").read_text(encoding="utf-8")


def test_the_lock_names_exactly_the_stages() -> None:
    lock = ROOT / "dvc.lock"
    if lock.exists():
        assert set(read(lock)["stages"]) <= set(resolved())


@pytest.mark.parametrize("stage", STAGES)
def test_help_costs_less_than_a_second(stage: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = subprocess.run([sys.executable, "-m", f"components.{stage}", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "--metrics" in shown.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.6  # CPU seconds; 0.6 on a quiet machine


@pytest.mark.parametrize(
    "file", [*FILES, *ROOT.glob("tests/*.py"), *ROOT.glob("benchmarks/**/*.py")], ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_files_and_functions_can_be_seen_whole(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 300
    assert file.name == "__main__.py" or ast.get_docstring(tree), "a file says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_the_project_speaks_of_itself_alone() -> None:
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    machine = re.compile(r"(?<![\w}])/(root|work|home/[a-z]+)/")
    for name in told:
        file = ROOT / name
        if file.suffix in {".py", ".md", ".yaml", ".txt", ".toml", ".html", ".sh"} and file.is_file():
            assert not machine.search(file.read_text(encoding="utf-8")), name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_the_pages_name_is_there(page: str) -> None:
    """Paths of the tree, and keys of params.yaml and infra/machine.yaml (`compose.<key>.slices`: of any key)."""
    told = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL))
    files = [one for one in told if re.fullmatch(r"[\w./-]+", one) and ("/" in one or (ROOT / one).suffix in {".py", ".md", ".yaml"})]
    made = ("../", ".aimo/", "code/", "data/", "models/", "runs/", "reports/")  # by the commands that the pages tell of
    assert not [one for one in files if not one.startswith(made) and not (ROOT / one).exists()]
    settings = [read(ROOT / "params.yaml"), read(ROOT / DEFAULTS)]
    keys = [key for one in told for key in re.findall(r"(?<![\w./])[a-z_]+(?:\.[\w<>-]+)+", one)]
    sections = [key for key in keys if any(key.split(".")[0] in whole for whole in settings)]
    assert files and sections
    assert not [key for key in sections if not any(stands(whole, key.split(".")) for whole in settings)]


def stands(whole: object, parts: list[str]) -> bool:
    """Whether a path of keys leads somewhere; `<key>` stands for any."""
    if not parts:
        return True
    found = whole if isinstance(whole, dict) else {}
    return any(stands(value, parts[1:]) for name, value in found.items() if name == parts[0] or parts[0].startswith("<"))
