"""Typed, frozen sections of params.yaml, and the overlays that are written into it.

params.yaml is the whole truth of a run: no field has a default, so every number that matters stands there. A section may lie inside
another (`models.train`), and may be keyed (`train.cot`, `train.tir`): then its fields are those of `<section>.common`, or of the section
that the class names as its `common`, with those of `<section>.<key>` laid over them.
Does not know which stage reads what: each stage declares its own Config.
"""

import difflib
import importlib
import pkgutil
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from components.core.errors import UserError

PARAMS = Path("params.yaml")
NAME = re.compile(r"(?!common$)[A-Za-z0-9][A-Za-z0-9_-]*")


class Settings(BaseModel):
    """A frozen group of fields inside a section."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Section(Settings):
    """A section of one of the project's two files of settings; its fields are checked with errors that name file, key and cure."""

    section: ClassVar[str]
    keyed: ClassVar[bool]
    common: ClassVar[str]
    """Where the fields common to all keys stand."""

    def __init_subclass__(cls, section: str = "", keyed: bool = False, common: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if section:  # a class that names none has that of the class above it
            cls.section, cls.keyed, cls.common = section, keyed, common or f"{section}.common"

    @classmethod
    def keys(cls, params: Mapping[str, Any], path: Path) -> list[str]:
        """The keys of a keyed section, as a command takes them."""
        return [key for key in at(params, cls.section, path) if f"{cls.section}.{key}" != cls.common]

    @classmethod
    def entry_names(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> list[str]:
        """The dotted names of the entries that `check` takes the fields from, the lower one first."""
        if not cls.keyed:
            return [cls.section]
        own, _, name = cls.common.rpartition(".")
        shared = own != cls.section or name in at(params, own, path)  # a `common` inside the section may be left out
        return [cls.common] * shared + [f"{cls.section}.{key}"]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """This section (and key) of a file's data; raises UserError naming the file, the key and the nearest name."""
        fields: dict[str, Any] = {}
        for name in cls.entry_names(params, path, key):
            fields |= at(params, name, path)
        where = f"{path}: {name}"
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise UserError("\n".join(_format_error(where, problem, cls) for problem in error.errors())) from None


class Config(Section):
    """One section of params.yaml: `class Curate(Config, section="curate")`, or `keyed=True` for a section with one entry per key.

    `class Train(Config, section="models.train", keyed=True, common="train")`: the entries of `models.train`, each laid over `train`.
    """

    @classmethod
    def load(cls, path: Path = PARAMS, key: str | None = None) -> Self:
        """This section (and key) of a params file; raises UserError naming the file, the key and the nearest name."""
        return cls.check(read(path), path, key)


def read(path: Path, hint: str = "write one with `aimo use tiny`") -> dict[str, Any]:
    """A file of settings as plain data; `hint` says what to do where there is none, or no sections in it."""
    from ruamel.yaml import YAML, YAMLError

    if not path.exists():
        raise UserError(f"{path}: no such file; run inside the project, or {hint}")
    try:
        whole = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {error}") from None
    if not isinstance(whole, dict):
        raise UserError(f"{path}: holds {whole!r:.40}, not sections with their keys; {hint}")
    return whole


def entry(data: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """The keys and values under `name`; raises UserError where there are none. `where` ends as a key's path goes on."""
    if name not in data:
        raise UserError(f"{where.rstrip(': .')}: no entry '{name}'{did_you_mean(name, data)}; there are: {', '.join(map(str, data))}")
    found = data[name] or {}
    if not isinstance(found, Mapping):
        raise UserError(f"{where}{name}: holds {found!r:.40}, not keys with their values")
    return found


def at(params: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    """The keys and values under a dotted name; raises UserError naming the file, the section reached and the nearest key."""
    where = f"{path}: "
    for part in name.split("."):
        params, where = entry(params, part, where), f"{where}{part}."
    return params


def check_name(name: str, where: str) -> None:
    """Raises UserError where what a person calls an entry cannot be a stage's and a folder's name, too; `where` names the entry."""
    if not NAME.fullmatch(name):
        raise UserError(f"{where}: the name of an entry becomes a folder's and a stage's; take letters, digits, - and _ (and not: common)")


def named_module(package: str, name: object, where: str, what: str) -> Any:
    """The module of `package` that the field `where` names as its `what`; raises UserError for one that is not there."""
    folder = importlib.import_module(package)
    known = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    if name not in known:
        raise UserError(f"{where}: no {what} {name!r}{did_you_mean(str(name), known)}; there are: {', '.join(known)}")
    return importlib.import_module(f"{package}.{name}")


def did_you_mean(name: str, names: Mapping[str, Any] | list[str]) -> str:
    """ ", did you mean 'x'?" or nothing."""
    close = difflib.get_close_matches(name, [str(n) for n in names], 1, 0.5)
    return f", did you mean '{close[0]}'?" if close else ""


def _format_error(where: str, problem: Any, kind: type[BaseModel]) -> str:
    *parents, last = [str(part) for part in problem["loc"]] or [""]
    shown, known = _locate(kind, parents)
    if problem["type"] == "extra_forbidden":
        return f"{'.'.join([where, *shown])}: unknown key '{last}'{did_you_mean(last, known)}"
    if problem["type"] == "missing":
        return f"{'.'.join([where, *shown])}: '{last}' is missing"
    return f"{'.'.join([where, *shown, last])}: {problem['msg']} (found: {problem['input']!r})"


def _locate(kind: Any, parents: list[str]) -> tuple[list[str], list[str]]:
    """A mapping's path as the file has it (pydantic puts a union's tag between the keys), and the keys that it knows."""
    shown: list[str] = []
    for name in parents:
        kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
        if typing.get_origin(kind) is list:
            shown[-1] += f"[{name}]"
            kind = typing.get_args(kind)[0]
            continue
        tagged = [member for member in typing.get_args(kind) if name in _discriminators(member)]
        if tagged:
            kind = tagged[0]
            continue
        shown.append(name)
        field = getattr(kind, "model_fields", {}).get(name)
        kind = field.annotation if field else None
    return shown, list(getattr(kind, "model_fields", {}))


def _discriminators(member: Any) -> tuple[Any, ...]:
    """The values of the `kind` that tells a union's member from the others."""
    field = getattr(member, "model_fields", {}).get("kind")
    return typing.get_args(field.annotation) if field else ()
