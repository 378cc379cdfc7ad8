"""What a component's code does, as one hash: all files of ours that it reaches, without comments, docstrings and formatting.

Reached is the whole of its own folder, what is imported at whatever depth, and what is run or read by path: a string that names a file
beside the module, or under components/, or a module of ours (the sandbox's zygote, a page template). Of a Python file the syntax tree
counts, without strings that stand alone; annotations stay, since settings and contracts live in them. Of any other file the bytes.
Prompts are left out: dvc.yaml names them where they are read. Covered by no rule here: a file whose name is put together outside its
reader's own folder; tests/test_fingerprint.py and tests/test_demo.py look for such.
"""

import ast
import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from components.core.errors import UserError
from components.core.watch import watched

COMPONENTS = Path(__file__).parents[1]
PROMPTS = "components/lib/prompts/"
BODIES = ("body", "orelse", "finalbody")
REMEMBERED = Path(".aimo/parsed.json")
"""May be deleted at any time."""


class Fingerprint(NamedTuple):
    """A component's code: one hash, and the digests that it is made of, by file."""

    value: str
    files: dict[str, str]


class _ParsedFile(NamedTuple):
    digest: str
    imports: frozenset[str]
    """Modules, by their full names."""
    strings: frozenset[str]
    """Constants that may name a file or a module."""
    prefixes: frozenset[str]
    """Of names that are put together: `components.quantize.methods.`."""


class Codebase:
    """All code under a folder `components`, each file read once."""

    def __init__(self, components: Path = COMPONENTS) -> None:
        self._root = components.absolute().parent
        found = (file for file in _files(str(components.absolute()), components.name) if not file.rpartition("/")[2].startswith("."))
        self.files = frozenset(file for file in found if not (file.startswith(PROMPTS) and file.endswith(".md")))
        self._parsed: dict[str, _ParsedFile] = {}
        self._known = _remembered()

    def remember(self) -> None:
        """Keeps what was parsed for the stages that run after this one: parsing again would cost each a third of a second."""
        data = {digest: [parsed.digest, *map(sorted, parsed[1:])] for digest, parsed in self._known.items()}
        REMEMBERED.parent.mkdir(parents=True, exist_ok=True)
        aside = REMEMBERED.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({"parser": _parser(), "files": data}), encoding="utf-8")
        aside.replace(REMEMBERED)

    @property
    def components(self) -> list[str]:
        """The folders that can be run: `python -m components.<name>`."""
        mains = (file.split("/") for file in self.files if file.endswith("/__main__.py"))
        return sorted(parts[1] for parts in mains if len(parts) == 3)

    def mtimes(self) -> frozenset[tuple[str, int, int]]:
        """Files with time and size: milliseconds that tell whether it is worth reading them again."""
        stats = ((file, (self._root / file).stat()) for file in self.files)
        return frozenset((file, stat.st_mtime_ns, stat.st_size) for file, stat in stats)

    def fingerprint(self, component: str) -> Fingerprint:
        """Of one component. Raises UserError where there is none, or a file it reaches is not Python."""
        pending = {(file, False) for file in self.files if file.startswith(f"components/{component}/")}
        if not pending:
            raise UserError(f"components/{component}: no such component; there are: {', '.join(self.components)}")
        reached: set[tuple[str, bool]] = set()
        while pending:
            file, is_script = one = pending.pop()
            reached.add(one)
            pending |= set(self._references(file, is_script)) - reached
        files = {file: self._parse(file).digest for file in sorted({file for file, _ in reached})}
        return Fingerprint(hashlib.sha256(json.dumps(files).encode()).hexdigest(), files)

    def _references(self, path: str, is_script: bool) -> Iterator[tuple[str, bool]]:
        """The files that one leads to. What is run by path is a script: Python looks for its imports beside it."""
        file, folder = self._parse(path), path.rpartition("/")[0]
        for name in file.imports:
            yield from ((found, False) for found in self._modules(name))
            if is_script:
                yield from ((found, True) for found in [f"{folder}/{name.split('.')[0]}.py"] if found in self.files)
        for text in file.strings:
            yield from ((found, False) for found in self._modules(text))
            yield from ((found, True) for found in (f"{folder}/{text}", f"components/{text}", text) if found in self.files)
        for prefix in file.prefixes:
            package = prefix.rpartition(".")[0].replace(".", "/") + "/"
            yield from ((found, False) for found in self.files if found.startswith(package) and found.endswith(".py"))

    def _modules(self, name: str) -> Iterator[str]:
        """The files that an import of `components.a.b` runs: those of its packages, and its own."""
        parts = name.split(".")
        if parts[0] != "components":
            return
        for end in range(1, len(parts) + 1):
            base = "/".join(parts[:end])
            yield from (file for file in (f"{base}/__init__.py", f"{base}.py") if file in self.files)

    def _parse(self, path: str) -> _ParsedFile:
        if path not in self._parsed:
            content = (self._root / path).read_bytes()
            key = hashlib.sha256(path.encode() + b"\n" + content).hexdigest()  # what a relative import names hangs on the path
            if key not in self._known:
                self._known[key] = _parse_python(path, content) if path.endswith(".py") else _parse_other(content)
            self._parsed[path] = self._known[key]
        return self._parsed[path]


def _files(folder: str, name: str) -> Iterator[str]:
    """All files below, as paths that begin with `name`; hidden folders and compiled code are no code."""
    for entry in os.scandir(folder):
        if entry.is_file():
            yield f"{name}/{entry.name}"
        elif entry.is_dir() and not entry.name.startswith(".") and entry.name != "__pycache__":
            yield from _files(entry.path, f"{name}/{entry.name}")


def _remembered() -> dict[str, _ParsedFile]:
    """What the stage `code` parsed, by a hash of path and content; nothing where another version of this file did."""
    try:
        data = json.loads(REMEMBERED.read_text(encoding="utf-8"))
        files = data["files"] if data["parser"] == _parser() else {}
        return {key: _ParsedFile(digest, *map(frozenset, sets)) for key, (digest, *sets) in files.items()}
    except (FileNotFoundError, ValueError, KeyError):
        return {}


@cache
def _parser() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def record_path(component: str) -> Path:
    """Where the stage `code` writes a component's fingerprint down."""
    return Path("code", f"{component}.json")


def recorded(component: str) -> str | None:
    """What the stage `code` wrote down when it last ran here; None where it never did."""
    file = watched(record_path(component))
    return str(json.loads(file.read_text(encoding="utf-8"))["fingerprint"]) if file.exists() else None


def _parse_other(content: bytes) -> _ParsedFile:
    return _ParsedFile(hashlib.sha256(content).hexdigest(), frozenset(), frozenset(), frozenset())


def _parse_python(path: str, content: bytes) -> _ParsedFile:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: not Python ({error}); mend it, and run again") from None
    imports, strings, prefixes = set[str](), set[str](), set[str]()
    for node in ast.walk(tree):
        _strip_docstrings(node)
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                imports |= {name.name for name in node.names}
            case ast.ImportFrom():
                base = ".".join([*path.split("/")[: -node.level], node.module or ""]).strip(".") if node.level else str(node.module)
                imports |= {base, *(f"{base}.{name.name}" for name in node.names)}
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), _, *_]) if text.startswith("components."):
                prefixes.add(text)
            case ast.Constant(value=str(text)) if "." in text and "\n" not in text:
                strings.add(text)
    return _ParsedFile(hashlib.sha256(repr(_dump(tree)).encode()).hexdigest(), frozenset(imports), frozenset(strings), frozenset(prefixes))


def _dump(node: Any) -> Any:
    """A syntax tree as nested lists without empty fields: what `ast.dump` says, in words that do not change with Python's version."""
    if isinstance(node, ast.AST):
        return [type(node).__name__, *((name, _dump(value)) for name, value in ast.iter_fields(node) if value is not None and value != [])]
    return [_dump(item) for item in node] if isinstance(node, list) else node


def _strip_docstrings(node: ast.AST) -> None:
    """Takes out strings that stand alone: docstrings, and what documents a field."""
    for name in BODIES:
        body = getattr(node, name, None)
        if isinstance(body, list) and any(map(_is_docstring, body)):
            kept = [statement for statement in body if not _is_docstring(statement)]
            setattr(node, name, kept or [ast.Pass()])


def _is_docstring(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
