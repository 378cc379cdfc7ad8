"""A stage depends on what its code does: comments change nothing, a statement changes exactly what reaches it, nothing is forgotten."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.code.stage import code
from components.core import fingerprint, rows
from components.core.errors import UserError
from components.core.fingerprint import Codebase
from components.core.types import Problem
from components.lib.arithmetic import problem
from components.lib.sandbox.forkserver import bubblewrap
from tests import audit_fixtures, row_fixtures, stage_fixtures
from tests.test_house import command, resolved

ROOT = Path(__file__).parents[1]
BESIDE = {
    "components/core/overlays.py",  # `aimo use` writes params.yaml with it; stages see what it wrote
    "components/lib/engine/self_check.py",  # the checks that every engine must pass, for tests
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of components/ to be edited."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "components", tmp_path / "components", ignore=ignored))


def values(components: Path) -> dict[str, str]:
    read = Codebase(components)
    return {name: read.fingerprint(name).value for name in read.components}


def changed(components: Path, file: str, edit: Callable[[str], str]) -> set[str]:
    """The components whose fingerprint an edit changes."""
    before, path = values(components), components / file
    text = path.read_text(encoding="utf-8")
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8")
    return {name for name, value in values(components).items() if value != before[name]}


def reaching(file: str) -> set[str]:
    read = Codebase()
    return {name for name in read.components if f"components/{file}" in read.fingerprint(name).files}


@pytest.mark.parametrize("stage", sorted(resolved()))
def test_a_stage_depends_on_its_component_s_fingerprint_and_on_no_code_beside(stage: str) -> None:
    cmd, deps, _, _ = resolved()[stage]
    component, _, _ = command(cmd)
    if component == "code":
        assert deps == {"components"}
        return
    assert {dep for dep in deps if dep.startswith("code/")} == {f"code/{component}.json"}
    assert all("/prompts/" in dep for dep in deps if dep.startswith("components/"))


def test_comments_docstrings_documented_fields_and_formatting_change_nothing(copy: Path, tmp_path: Path) -> None:
    code(components=copy, out=tmp_path / "before")
    for file in copy.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                node.value.value = "Said in other words."
        file.write_text(f"# A comment.\n{ast.unparse(tree)}\n\n\n# The end.\n", encoding="utf-8")
    code(components=copy, out=tmp_path / "after")
    files = sorted((tmp_path / "before").iterdir())
    assert {f"{name}.json" for name in Codebase().components} == {file.name for file in files}
    assert all(file.read_bytes() == (tmp_path / "after" / file.name).read_bytes() for file in files)


def test_a_docstring_that_is_added_changes_nothing(copy: Path) -> None:
    assert not changed(
        copy,
        "lib/votes/ballot.py",
        lambda text: text.replace(
            "    def register(cast: VoteFunction) -> VoteFunction:\n",
            '    def register(cast: VoteFunction) -> VoteFunction:\n        """Said."""\n',
        ),
    )


def test_a_changed_statement_changes_exactly_what_reaches_it(copy: Path) -> None:
    assert changed(copy, "lib/votes/config.py", lambda text: text + "\nMORE = 1\n") == reaching("lib/votes/config.py")
    assert {"vote", "replay"} <= reaching("lib/votes/config.py") and "solve" not in reaching("lib/votes/config.py")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("core/types.py", "answer: int | None", "answer: int"),
        ("lib/sandbox/zygote.py", "WATCH_S = 0.1", "WATCH_S = 0.2"),
        ("lib/sandbox/resource_limits.py", "def exceeded(", "def exceeded(*_, "),
        ("report/page.html", "<", " <"),
        ("serve/entry.py.txt", "import", "import "),
        ("quantize/awq_worker.py", "import json", "import json, math"),
        ("quantize/methods/fp8.py", "import", "import math\nimport"),
        ("collect/sources/files/forum.py", "import re", "import re, math"),
        ("train/distributed.py", "METRICS = ", "METRICS = 'x' + "),
    ],
)
def test_annotations_and_what_is_run_or_read_by_path_count(copy: Path, file: str, old: str, new: str) -> None:
    assert changed(copy, file, lambda text: text.replace(old, new, 1)) == reaching(file) != set()


def test_what_the_zygote_imports_is_reached_from_the_sandbox_alone(copy: Path) -> None:
    """Only the zygote names them, and only by bare names: it is run by path."""
    (copy / "lib/sandbox/more.py").write_text("MORE = 1\n", encoding="utf-8")
    zygote = copy / "lib/sandbox/zygote.py"
    zygote.write_text(zygote.read_text(encoding="utf-8").replace("import cells", "import more\nimport cells"), encoding="utf-8")
    assert "components/lib/sandbox/more.py" in Codebase(copy).fingerprint("solve").files


def test_a_prompt_is_no_code(copy: Path) -> None:
    assert not changed(copy, "lib/prompts/cot.md", lambda text: text + " ")


def test_no_file_of_ours_is_forgotten() -> None:
    tracked = subprocess.run(["git", "ls-files", "components"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    wanted = {name for name in tracked if not (name.startswith("components/lib/prompts/") and name.endswith(".md"))}
    read = Codebase()
    reached = {file for name in read.components for file in read.fingerprint(name).files}
    assert wanted - reached == BESIDE


def test_a_stage_opens_no_file_of_ours_beyond_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run, whose sandbox starts programs by path; test_demo.py asks the same of all stages."""
    home = stage_fixtures.filled(tmp_path, monkeypatch)
    drawn = [(seed, problem(seed)) for seed in (1, 2)]
    asked = [row_fixtures.problem(f"generated-{seed}", one.answer, one.statement) for seed, one in drawn]
    rows.write(home / "problems.parquet", asked, Problem)
    words = "teacher --problems problems.parquet --model problems.parquet --out out.parquet --questions q.parquet --metrics metrics.json"
    env = stage_fixtures.environment() | audit_fixtures.environment(tmp_path / "notes", ROOT) | {"DVC_STAGE": "solve@teacher"}
    subprocess.run([sys.executable, "-m", "components.solve", *words.split()], env=env, check=True)
    (files,) = audit_fixtures.opened_by_stage(tmp_path / "notes").values()
    assert {"components/solve/attempt.py", "components/lib/sandbox/zygote.py", "components/lib/prompts/tir.md"} <= files
    assert bubblewrap() or "components/lib/sandbox/cells.py" in files, "opened by the zygote alone"
    assert audit_fixtures.beyond_fingerprint(tmp_path / "notes", ROOT / "components") == {}


def test_no_component_reaches_another_s_stage_by_a_name_put_together() -> None:
    read = Codebase()
    for name in set(read.components) - {"serve"}:  # which puts stages together
        others = {file.split("/")[1] for file in read.fingerprint(name).files if file.count("/") > 1}
        assert others <= {name, "core", "lib"}


def test_a_file_that_is_no_python_is_named(copy: Path) -> None:
    (copy / "vote/stage.py").write_text("def vote(:\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"components/vote/stage.py: not Python \(invalid syntax"):
        Codebase(copy).fingerprint("vote")
    with pytest.raises(UserError, match="no such component; there are: annotate, code, collect"):
        Codebase(copy).fingerprint("voting")


def test_what_is_hashed_is_the_same_in_every_version_of_python(tmp_path: Path) -> None:
    """Later versions know more fields of a function, and dump none that is empty; this digest is theirs, too."""
    (tmp_path / "components/toy").mkdir(parents=True)
    (tmp_path / "components/toy/__main__.py").write_text('def f(a: int = 0) -> str | None:\n    return f"{a}" or None\n')
    assert Codebase(tmp_path / "components").fingerprint("toy").value == "740583e1d3b43aee5505b783670d797c909821c646731eaa082c91fa43803f97"


def test_what_was_parsed_once_is_remembered_by_its_content(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = Codebase(copy)
    before = {name: first.fingerprint(name) for name in first.components}
    first.remember()
    again = Codebase(copy)
    assert {name: again.fingerprint(name) for name in again.components} == before
    told = fingerprint.REMEMBERED.read_text(encoding="utf-8")
    fingerprint.REMEMBERED.write_text(told.replace(before["vote"].files["components/vote/stage.py"], "told"), encoding="utf-8")
    assert Codebase(copy).fingerprint("vote").files["components/vote/stage.py"] == "told", "it is read, not parsed again"
    file = copy / "lib/votes/config.py"
    file.write_text(file.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    assert Codebase(copy).fingerprint("vote") != before["vote"]
    fingerprint.REMEMBERED.write_text(told[:-9], encoding="utf-8")
    assert Codebase(copy).fingerprint("solve") == before["solve"], "half a file is none"
