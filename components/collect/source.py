"""What a source is: an entry of `sources:`, read by the class `Source` of sources/<group>.py, or of sources/files/<kind>.py for files.

Also the rules that hold for every source: which texts are usable, and how one stream of kept and dropped rows becomes two files.
"""

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import PrivateAttr

from components.core import params as parameters
from components.core import rows
from components.core.errors import UserError
from components.core.params import Config, named_module
from components.core.runner import Metrics
from components.core.types import Dropped, Row
from components.lib.answers import Contest
from components.lib.sources import Sources, Use

R = TypeVar("R", bound=Row)
MAX_STATEMENT_CHARS = 20_000
FILES = "components.collect.sources.files"


class Collect(Config, section="sources", keyed=True, common="collect"):
    """An entry of `sources:`, by its group and name (`files.gsm8k`); what it is says its group, among files its `kind`."""

    use: Use
    licence: str
    """Every row carries it; collect.licences must hold it."""
    licences: list[str]
    """Which licences a row may carry (collect.licences)."""
    _key: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The entry's own: the source of its rows, and the first part of their ids."""
        return self._key.partition(".")[2]

    @property
    def where(self) -> str:
        """The entry as an error names it."""
        return f"params.yaml: {self.section}.{self._key}"

    @classmethod
    def keys(cls, params: Mapping[str, Any], path: Path) -> list[str]:
        return [f"{group}.{name}" for group in Sources.model_fields for name in parameters.at(params, f"{cls.section}.{group}", path)]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """The entry as the Source of its group or kind; a Source checks itself as any section does."""
        if cls is not Collect:
            return super().check(params, path, key)
        Sources.check(params, path)
        group, _, name = str(key).partition(".")
        if group not in Sources.model_fields or not name:
            groups = ", ".join(f"{group}.NAME" for group in Sources.model_fields)
            raise UserError(f"{path}: {cls.section}: {key!r} names no entry; write one of {groups}")
        fields = parameters.at(params, f"{cls.section}.{key}", path)
        if group == "files":
            module = named_module(FILES, fields.get("kind"), f"{path}: {cls.section}.{key}.kind", "kind of file")
        else:
            module = importlib.import_module(f"components.collect.sources.{group}")
        found = module.Source.check(params, path, key)
        found._key = key
        return found

    def write(self, contest: Contest, out: Path) -> Metrics:
        """Writes this source's rows into the folder `out`."""
        raise NotImplementedError

    def check_licence(self) -> None:
        """Raises UserError for a licence that is not on the list: checked before a row is read."""
        if self.licence not in self.licences:
            raise UserError(
                f"{self.where}: the licence {self.licence!r} is not among collect.licences ({', '.join(self.licences)}); "
                "add it there if its rows may be used, or take the entry out"
            )


def statement_error(text: object) -> str | None:
    """Why a text cannot be a statement, or None where it can."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return "statement empty"
    if not isinstance(text, str):
        return "statement not text"
    if len(text) > MAX_STATEMENT_CHARS:
        return "statement too long"
    return None if is_clean(text) else "statement not clean text"


def is_clean(text: str) -> bool:
    """Whether a text can be stored: no zero character, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def excerpt(text: object) -> str:
    """A text as a dropped row keeps it: readable, storable, not longer than its reason deserves."""
    return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:500] if text is not None else ""


def write_rows(out: Path, name: str, kind: type[R], stream: Iterator[R | Dropped]) -> Metrics:
    """Writes `<name>.parquet` and `dropped.parquet` from one stream, in memory that does not grow with it; counts the reasons."""
    aside, reasons = out / "dropped.jsonl", Counter[str]()

    def kept() -> Iterator[R]:
        with rows.JsonlWriter(aside) as dropped:
            for row in stream:
                if isinstance(row, Dropped):
                    dropped.append(row)
                    reasons[row.reason] += 1
                else:
                    yield row

    num_kept = rows.write(out / f"{name}.parquet", kept(), kind)
    rows.write(out / "dropped.parquet", rows.read(aside, Dropped), Dropped)
    aside.unlink()
    return {name: num_kept, "dropped": reasons.total(), "reasons": dict(reasons)}
