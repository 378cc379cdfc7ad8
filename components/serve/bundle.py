"""A folder that a notebook runs without the network: code, recipe, machine, entry, a word on the model, and a manifest.

Taken along is every folder of components/ that components/serve reaches by its imports, whole, since prompts and the sandbox's programs
are files beside the code. Reads and writes files only; `check` is what the entry calls first.
"""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Template

from components.core import machine
from components.core.errors import UserError
from components.core.params import read
from components.core.runner import write_json

HERE = Path(__file__).parents[1]
ENTRY = Path(__file__).with_name("entry.py.txt")
README = Path(__file__).with_name("bundle_readme.md")
MANIFEST = "manifest.json"


def write(out: Path, key: str, model: Path, mounted_at: Path, params: Path) -> str:
    """Writes the bundle and returns a line about it; `mounted_at` is the model's path as serve.py will see it."""
    from components.solve.exam_run import Solve

    time_budget = Solve.check(read(params), params, key).time_budget
    if not model.exists():
        raise UserError(f"--model {model}: no such folder; the bundle says what it is to be run with, so make it first")
    if time_budget.kind == "tokens" and not (params.parent / time_budget.model).is_file():
        raise UserError(f"{params}: solve.{key}.time_budget.model: no file {time_budget.model}; train the length model first")
    if out.exists():
        raise UserError(f"--out {out}: is there already; remove it, or name another folder")
    partial = out.with_name(f".partial-{out.name}")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in _folders():
        shutil.copytree(HERE / folder, partial / "components" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(HERE / "__init__.py", partial / "components")
    shutil.copy2(params, partial / "params.yaml")
    write_json(partial / machine.DEFAULTS, machine.layers(params.parent, own=False)[-1][1])  # JSON is YAML
    if time_budget.kind == "tokens":
        (partial / time_budget.model).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(params.parent / time_budget.model, partial / time_budget.model)
    known = {"key": key, "model": str(mounted_at), "digest": _digest(model)}
    for made, source in (("serve.py", ENTRY), ("README.md", README)):
        (partial / made).write_text(Template(source.read_text(encoding="utf-8")).substitute(known), encoding="utf-8")
    files = {path.relative_to(partial).as_posix(): _digest(path) for path in sorted(partial.rglob("*")) if path.is_file()}
    write_json(partial / MANIFEST, {**known, "files": files})
    partial.replace(out)
    return f"{out}: {len(files)} files; README.md there says how a notebook runs it"


def check(folder: Path) -> None:
    """Raises UserError where a file of the bundle is missing or not as it was written."""
    for name, digest in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise UserError(f"{folder / name}: missing, or not as {MANIFEST} says; upload the bundle anew")


def _folders() -> list[str]:
    """components/serve and all folders that its imports lead to."""
    found, waiting = set[str](), {"serve"}
    while waiting:
        folder = waiting.pop()
        found.add(folder)
        waiting |= {name for file in (HERE / folder).rglob("*.py") for name in _imported(file)} - found
    return sorted(found)


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
        for module in modules:
            if module.startswith("components."):
                yield module.split(".")[1]
            elif module == "components":
                yield from names


def _digest(path: Path) -> str:
    """The sha256 of a file; of a folder, that of its files' names and digests."""
    if path.is_file():
        with path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return hashlib.sha256("".join(f"{file.relative_to(path)} {_digest(file)}\n" for file in files).encode()).hexdigest()
