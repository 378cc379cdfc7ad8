"""What a source is: a kind of entry in `collect:`, found by its name as the file sources/<kind>.py, where its class `Source` stands.

Also the rules that hold for every source: which texts are usable, and how one stream of kept and dropped rows becomes two files.
"""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from components.core import params as parameters
from components.core import rows
from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import Metrics
from components.core.types import Dropped, Row
from components.lib.answers import Contest

R = TypeVar("R", bound=Row)
MAX_STATEMENT_CHARS = 20_000


class Collect(Config, section="collect", keyed=True):
    """An entry of `collect:`; `kind` says which file's fields the others are."""

    kind: str
    licences: list[str]
    """Which licences a row may carry (collect.common)."""

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """The entry as the Source of its kind; a Source checks itself as any section does."""
        if cls is not Collect:
            return super().check(params, path, key)
        section = parameters.entry(params, cls.section, f"{path}: ")
        kind, known = parameters.entry(section, key or "", f"{path}: {cls.section}.").get("kind"), kinds()
        if kind not in known:
            near = parameters.nearest(str(kind), known)
            raise UserError(f"{path}: collect.{key}.kind: no kind of source {kind!r}{near}; there are: {', '.join(known)}")
        source = importlib.import_module(f"components.collect.sources.{kind}").Source
        return source.check(params, path, key)

    def write(self, contest: Contest, out: Path) -> Metrics:
        """Writes this source's rows into the folder `out`."""
        raise NotImplementedError

    def allow(self, licence: str, what: str) -> None:
        """Raises UserError for a licence that is not on the list: checked before a row is read."""
        if licence not in self.licences:
            raise UserError(
                f"params.yaml: collect: {what}: the licence {licence!r} is not among collect.common.licences ({', '.join(self.licences)}); "
                "add it there if its rows may be used, or take the entry out"
            )


def kinds() -> list[str]:
    """The names of the files in sources/."""
    from components.collect import sources

    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def unusable(text: object) -> str | None:
    """Why a text cannot be a statement, or None where it can."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return "statement empty"
    if not isinstance(text, str):
        return "statement not text"
    if len(text) > MAX_STATEMENT_CHARS:
        return "statement too long"
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        return "statement not clean text"
    return None


def shown(text: object) -> str:
    """A text as a dropped row keeps it: readable, storable, not longer than its reason deserves."""
    return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:500] if text is not None else ""


def seal(out: Path, name: str, kind: type[R], stream: Iterator[R | Dropped]) -> Metrics:
    """Writes `<name>.parquet` and `dropped.parquet` from one stream, in memory that does not grow with it; counts the reasons."""
    aside, reasons = out / "dropped.jsonl", Counter[str]()

    def kept() -> Iterator[R]:
        with rows.Growing(aside) as dropped:
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
