"""Where a run is and how fast: infra/machine.yaml, with this machine's own settings laid over it. Nothing of it may change a result.

Three files, each laid over the one before: infra/machine.yaml (tracked: every key, with its default), `.aimo/machine.profile.yaml` (the
`machine:` parts of profiles and recipes, as `aimo use` wrote them) and `.aimo/machine.yaml` (yours: only a person writes it). None is a
dependency of DVC: a changed one makes no stage stale. What may change a result stands in params.yaml.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from components.core.errors import UserError
from components.core.params import Section, did_you_mean, read

DEFAULTS = Path("infra/machine.yaml")
PROFILE = Path(".aimo/machine.profile.yaml")
LOCAL = Path(".aimo/machine.yaml")


class MachineConfig(Section):
    """One section of infra/machine.yaml, declared by the component that reads it: `class Flow(MachineConfig, section="flow")`."""

    @classmethod
    def load(cls, root: Path = Path()) -> Self:
        """This section as the project at `root` has it on this machine; raises UserError naming the file, the key and the nearest name."""
        for path, whole in layers(root):
            found = cls.check(whole, path)
        return found

    def redacted(self) -> dict[str, Any]:
        """Its fields for a record that others may read: addresses without user, password and query."""
        return dict(_redact(self.model_dump(mode="json")))


def layers(root: Path, own: bool = True) -> list[tuple[Path, dict[str, Any]]]:
    """The files that are there, the lowest first, each with all that holds after it; raises UserError where one has an unknown section.

    `own`: whether what a person wrote for this one machine is among them.
    """
    found = [(root / DEFAULTS, read(root / DEFAULTS, f"restore it with `git checkout {DEFAULTS}`"))]
    for path in (root / PROFILE, *([root / LOCAL] if own else [])):
        if path.exists():
            found.append((path, merged(found[-1][1], check_sections(read(path, "remove it"), found[-1][1], path))))
    return found


def check_sections(over: Mapping[str, Any], under: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """What is to be laid over; raises UserError where it has a section that the file below has not."""
    for name in over:
        if name not in under:
            raise UserError(f"{path}: unknown section '{name}'{did_you_mean(name, under)}; there are: {', '.join(map(str, under))}")
    return over


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge, all else replaces."""
    whole = dict(under)
    for name, value in over.items():
        old = under.get(name)
        whole[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return whole


def redact_url(url: str) -> str:
    """An address without what it may keep secret: user, password, query, fragment."""
    return re.sub(r"(?<=://)[^/]*@|[?#].*", "", url)


def _redact(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _redact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_redact(item) for item in value]
    return redact_url(value) if isinstance(value, str) and "://" in value else value
