"""`aimo check`: what every component that has a preflight.py finds. Here, not in core: whoever imports it would reach them all."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.preflight import Facts, Finding, lines


def findings(facts: Facts) -> Iterator[Finding]:
    """Of all components."""
    for module in _modules(facts.root):
        yield from module.check(facts)


def blanks(facts: Facts) -> list[str]:
    """What only a person can know and params.yaml has not: commits and paths. Components that ask for some have `blanks(facts)`."""
    asked = [one for module in _modules(facts.root) if hasattr(module, "blanks") for one in module.blanks(facts)]
    return [line.removeprefix("stop").strip() for line in lines(one for one in asked if one.level == "stop")]


def _modules(root: Path) -> list[Any]:
    found = sorted(path for path in (root / "components").glob("*/preflight.py") if path.parent.name != "core")
    return [importlib.import_module(f"components.{path.parent.name}.preflight") for path in found]
