"""What `aimo check` finds before anything burns: one line each, ok, warn or stop, with the cure.

A component that has something to look at beforehand has a file preflight.py with `check(facts)`, which flows/preflight.py finds; its stage
calls the same code before it loads a model. Loads no model, needs no GPU, and can look at another machine's facts. Knows no component.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from components.core import hardware, machine
from components.core.errors import UserError
from components.core.hardware import Gpus
from components.core.params import PARAMS, read

Level = Literal["ok", "warn", "stop"]


class Finding(NamedTuple):
    """One line."""

    level: Level
    subject: str
    """What was looked at: memory, context, revision."""
    says: str
    """What was found; of a warning and a stop also the cure."""
    whose: str = ""
    """Whom it is about: an entry of params.yaml."""


class Facts(NamedTuple):
    """What there is to look at."""

    root: Path
    params: dict[str, Any]
    machine: dict[str, Any]
    gpus: Gpus
    free_bytes: int
    """On the project's disk."""

    @classmethod
    def of(cls, root: Path, gpus: Gpus | None = None) -> "Facts":
        """The project at `root` on this machine, or on one with other `gpus`."""
        free = shutil.disk_usage(root).free
        return cls(root, read(root / PARAMS), machine.layers(root)[-1][1], hardware.gpus() if gpus is None else gpus, free)


def lines(found: Iterable[Finding]) -> list[str]:
    """The page: stops first, what is the same of several entries once."""
    whose: dict[tuple[Level, str, str], list[str]] = {}
    for one in found:
        whose.setdefault((one.level, one.subject, one.says), []).append(one.whose)
    order = {"stop": 0, "warn": 1, "ok": 2}
    return [_line(*key, list(dict.fromkeys(filter(None, names)))) for key, names in sorted(whose.items(), key=lambda one: order[one[0][0]])]


def refuse(found: Iterable[Finding]) -> None:
    """What a stage does with its own findings: raises UserError with every stop; the rest is nobody's to read there."""
    stops = [f"{one.subject}: {one.says}" for one in found if one.level == "stop"]
    if stops:
        raise UserError("\n".join(stops))


def _line(level: Level, subject: str, says: str, names: Sequence[str]) -> str:
    of = f" of {', '.join(names)}" if names else ""
    return f"{level:4}  {subject}{of}: {says}"
