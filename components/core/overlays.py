"""Overlays: profiles and recipes written into params.yaml, comments kept, every section checked before the file is replaced.

A profile named `tiny` is the whole file; every other overlay is laid over it in the order given, each after those that it names itself
in `over: [...]`. What stands under `with: {gpu: ...}` is laid only where the profile `gpu` is among them: a recipe's numbers for large
models. `NAME: !remove` takes an entry away. `about: {...}` is a recipe's word on its original. `machine: {...}` is laid over
infra/machine.yaml, in a file of its own that `aimo use` writes anew each time, below the one that a person keeps. Nothing is looked
through at run time: what `aimo use` wrote is what DVC sees, git shows and dvc.lock records.
Reads the folders of overlays and `components/*/stage.py`; writes params.yaml and .aimo/machine.profile.yaml. Does not know what the
numbers mean.
"""

import functools
import importlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from components.core import machine
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.params import PARAMS, Config, Section, Settings, did_you_mean, entry

BASE = "tiny"
OVER, WITH, ABOUT, MACHINE = "over", "with", "about", "machine"
RECIPES = Path("infra/recipes")
FOLDERS = (Path("infra/profiles"), RECIPES)


class RecipeInfo(Settings):
    """What a recipe says of its original."""

    contest: str
    rank: int | None
    """On the private set; null where it took no part or the rank is not known."""
    private: float | None
    """Problems solved there, of 50."""
    model: str
    """What it ran: a recipe rules how an exam is run, the model is the profile's matter."""
    differs: list[str]
    """What of the original is not the same here, and why."""


class Laid(NamedTuple):
    """What `aimo use` writes."""

    params: Any
    machine: dict[str, Any]
    """What the overlays say of the machine."""


def use(names: Sequence[str], root: Path, more: Iterable[type[Section]] = ()) -> list[Path]:
    """Writes the base profile with the named overlays laid over it, params and machine, and returns the files it took.

    `more`: sections of others than the components. Raises UserError naming the overlay, the key and the nearest name; then
    nothing is written.
    """
    taken, kinds = stack(names, root), [*sections(root), *more]
    defaults = machine.layers(root)[0][1]
    for path, whole in _laid(taken):
        check(whole.params, path, kinds)
        here = machine.merged(defaults, machine.check_sections(whole.machine, defaults, path))
        for kind in kinds:
            if issubclass(kind, MachineConfig):
                kind.check(here, path)
    _write(root / PARAMS, whole.params)
    _write_machine(root, whole.machine, names)
    return taken


def merged(names: Sequence[str], root: Path) -> Laid:
    """What `use` would write, as plain data and unchecked."""
    *_, (_, whole) = _laid(stack(names, root))
    return Laid(_plain(whole.params), whole.machine)


def stack(names: Sequence[str], root: Path) -> list[Path]:
    """The files of the base profile, the named overlays and those that they lie over, each once, the lowest first.

    What ends in .yaml is no name but a file of one's own, wherever it lies.
    """
    return _stack(available(root), [BASE, *names])


def recipe_info(path: Path) -> RecipeInfo:
    """What a recipe tells of its original; raises UserError where a field is wrong or missing."""
    try:
        return RecipeInfo.model_validate(_plain(entry(_load(path), ABOUT, f"{path}: ")))
    except ValidationError as error:
        raise UserError(f"{path}: {ABOUT}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from None


def available(root: Path) -> dict[str, Path]:
    """All overlays by name."""
    return {path.stem: path for folder in FOLDERS for path in sorted((root / folder).glob("*.yaml"))}


def description(path: Path) -> str:
    """What an overlay says of itself in its first line."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def sections(root: Path) -> list[type[Section]]:
    """Every section that a component reads, of params and of the machine: the parameters of the function named like its folder."""
    from components.core.runner import contract

    found: dict[type[Section], None] = {}
    for path in sorted((root / "components").glob("*/stage.py")):
        name = path.parent.name
        stage = getattr(importlib.import_module(f"components.{name}.stage"), name)
        shape = contract(stage)
        found |= dict.fromkeys([*shape.sections.values(), *shape.machine.values()])
    return list(found)


def check(params: Mapping[str, Any], path: Path, kinds: Iterable[type[Section]]) -> None:
    """Every section of params that is there, and every key of a keyed one, as the component that reads it will see it."""
    for kind in (kind for kind in kinds if issubclass(kind, Config)):
        for key in kind.keys(params, path) if kind.keyed else [None]:
            kind.check(_plain(params), path, key)


def _stack(known: Mapping[str, Path], names: Iterable[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for name in names:
        path = _path(known, name)
        over = _load(path) if name != BASE else {}
        for other in over.get(WITH, []):
            _path(known, other)
        found |= dict.fromkeys([*_stack(known, over.get(OVER, [])), path])
    return list(found)


def _load(path: Path) -> Any:
    from ruamel.yaml import YAMLError

    try:
        return _yaml().load(path.read_text(encoding="utf-8")) or {}
    except YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None


def _path(known: Mapping[str, Path], name: str) -> Path:
    if name.endswith(".yaml") and Path(name).is_file():
        return Path(name)
    if name not in known:
        raise UserError(f"no profile or recipe '{name}'{did_you_mean(name, known)}; there are: {', '.join(known)}")
    return known[name]


def _laid(taken: Sequence[Path]) -> Iterator[tuple[Path, Laid]]:
    """The whole file after each overlay, and what they say of the machine."""
    whole, where, below = _load(taken[0]), dict[str, Any](), {path.stem for path in taken}
    yield taken[0], Laid(whole, where)
    for path in taken[1:]:
        over = _load(path)
        for more in [over, *(more for name, more in over.get(WITH, {}).items() if name in below)]:
            _lay(whole, more, path)
            where = machine.merged(where, _plain(more.get(MACHINE, {})))
        yield path, Laid(whole, where)


def _lay(under: Any, over: Mapping[str, Any], path: Path) -> None:
    """Lays an overlay's sections over the whole file; a section that the file has not is a typing error."""
    sections = {name: section for name, section in over.items() if name not in (OVER, WITH, ABOUT, MACHINE)}
    _merge(under, machine.check_sections(sections, under, path), f"{path}: ")


def _merge(under: Any, over: Mapping[str, Any], where: str) -> None:
    """Mappings merge, all else replaces. A mapping tagged !replace, or of another `kind`, replaces the whole mapping; `NAME: !remove`, with
    nothing behind it, takes away what stands under the name, and it must be there.

    Where a mapping holds one block per kind (`fetch: {kind: hub, hub: …, scratch: …}`), another kind only selects.
    """
    for name, value in over.items():
        old = under.get(name)
        if _tag(value) == "!remove":
            if name not in under:
                raise UserError(f"{where}{name}: nothing to remove{did_you_mean(name, under)}; there are: {', '.join(map(str, under))}")
            del under[name]
        elif isinstance(value, Mapping) and isinstance(old, Mapping) and not _replaces(old, value):
            _merge(old, value, f"{where}{name}.")
            if not old:  # all was taken away: with the old mapping's comment ruamel writes what is no YAML
                under[name] = _untagged(old)
        else:
            under[name] = _untagged(value)


def _replaces(old: Mapping[str, Any], new: Any) -> bool:
    return not old or _tag(new) == "!replace" or ("kind" in new and new["kind"] != old.get("kind") and new["kind"] not in old)


def _tag(value: Any) -> str | None:
    tag = getattr(value, "tag", None)
    return None if tag is None else tag.value


def _untagged(value: Any) -> Any:
    """The value without its tag, in one line, and without comments: those belong to the overlay's page."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        plain = CommentedMap((name, _untagged(item)) for name, item in value.items())
        plain.fa.set_flow_style()
        return plain
    if isinstance(value, list):
        row = CommentedSeq(_untagged(item) for item in value)
        row.fa.set_flow_style()
        return row
    return value


def _plain(data: Any) -> Any:
    """Round-trip containers and scalars as plain ones, which strict checking asks for."""
    if isinstance(data, Mapping):
        return {str(name): _plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    for kind in (bool, int, float, str):
        if isinstance(data, kind):
            return kind(data)
    return data


@functools.cache
def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    yaml.representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _write(path: Path, whole: Any, head: str = "") -> None:
    text = io.StringIO(head)
    text.seek(0, io.SEEK_END)
    _yaml().dump(whole, text)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text.getvalue(), encoding="utf-8")
    partial.replace(path)


def _write_machine(root: Path, where: dict[str, Any], names: Sequence[str]) -> None:
    """The profiles' word on the machine, beside a person's own, which is left alone; nothing said, no file."""
    path = root / machine.PROFILE
    path.unlink(missing_ok=True)
    if where:
        path.parent.mkdir(exist_ok=True)
        _write(path, where, f"# Written by `aimo use {' '.join(names)}`; your own settings: {machine.LOCAL}, which lies over this.\n")
