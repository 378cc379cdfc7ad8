"""What made a set: the digests of its prompt files and of every file of ours that the stage's code reaches."""

import ast
from collections.abc import Iterable
from pathlib import Path

from components.lib import prompts
from components.lib.pinned import digest

ROOT = Path(__file__).parents[2]


def of_prompts(names: Iterable[str]) -> dict[str, str]:
    """Digest by prompt file, by name."""
    return {f"{name}.md": digest(prompts.path(name)) for name in sorted(set(names))}


def of_code() -> dict[str, str]:
    """Digest by file: this component and what it imports, at whatever depth."""
    reached: set[Path] = set()
    waiting = set(Path(__file__).parent.rglob("*.py"))
    while waiting:
        file = waiting.pop()
        reached.add(file)
        waiting |= _imported(file) - reached
    return {file.relative_to(ROOT).as_posix(): digest(file) for file in sorted(reached)}


def _imported(file: Path) -> set[Path]:
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            continue
        bases = [ROOT / name.replace(".", "/") for name in names if name.split(".")[0] == "components"]
        found |= {path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()}
    return found
