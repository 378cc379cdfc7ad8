"""Typed, frozen sections of params.yaml, and the overlays that are written into it.

params.yaml is the whole truth of a run: no field has a default, so every number that matters stands there. A section may be keyed
(`train.cot`, `train.tir`): then its fields are those of `<section>.common` with those of `<section>.<key>` laid over them.
Does not know which stage reads what: each stage declares its own Config.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from components.core.errors import UserError

PARAMS = Path("params.yaml")


class Settings(BaseModel):
    """A frozen group of fields inside a section."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Config(Settings):
    """One section of params.yaml: `class Curate(Config, section="curate")`, or `keyed=True` for a section with one entry per key."""

    section: ClassVar[str]
    keyed: ClassVar[bool]

    def __init_subclass__(cls, section: str = "", keyed: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.section, cls.keyed = section, keyed

    @classmethod
    def load(cls, path: Path = PARAMS, key: str | None = None) -> Self:
        """This section (and key) of a params file; raises UserError naming the file, the key and the nearest name."""
        return cls.check(read(path), path, key)

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        where = f"{path}: {cls.section}"
        section = _entry(params, cls.section, f"{path}")
        if cls.keyed:
            where = f"{where}.{key}"
            section = {**section.get("common", {}), **_entry(section, key or "", f"{path}: {cls.section}")}
        try:
            return cls.model_validate(section)
        except ValidationError as error:
            raise UserError("\n".join(_say(where, problem, cls) for problem in error.errors())) from None


def read(path: Path) -> dict[str, Any]:
    """A params file as plain data."""
    from ruamel.yaml import YAML, YAMLError

    if not path.exists():
        raise UserError(f"{path}: no such file; run inside the project, or write one with `aimo use tiny`")
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None


def _entry(data: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in data:
        raise UserError(f"{where}: no entry '{name}'{nearest(name, data)}; there are: {', '.join(map(str, data))}")
    return data[name] or {}


def nearest(name: str, names: Mapping[str, Any] | list[str]) -> str:
    """ ", did you mean 'x'?" or nothing."""
    close = difflib.get_close_matches(name, [str(n) for n in names], 1, 0.5)
    return f", did you mean '{close[0]}'?" if close else ""


def _say(where: str, problem: Any, kind: type[BaseModel]) -> str:
    *parents, last = [str(part) for part in problem["loc"]] or [""]
    if problem["type"] == "extra_forbidden":
        return f"{'.'.join([where, *parents])}: unknown key '{last}'{nearest(last, _fields(kind, parents))}"
    if problem["type"] == "missing":
        return f"{'.'.join([where, *parents])}: '{last}' is missing"
    return f"{'.'.join([where, *parents, last])}: {problem['msg']} (found: {problem['input']!r})"


def _fields(kind: Any, path: list[str]) -> list[str]:
    for name in path:
        field = kind.model_fields.get(name) if hasattr(kind, "model_fields") else None
        kind = field.annotation if field else None
    return list(getattr(kind, "model_fields", {}))
