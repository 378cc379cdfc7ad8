"""The entries of `sources:` in params.yaml: their names and what each is for. Where its rows lie follows from both: data/raw/<use>/<name>.

Entries are grouped by what DVC has to do for them: `generated` here, `files` that it watches, sets of a `hub` that come over the network.
Does not know what the other fields of an entry say: those are collect's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict

from components.core.errors import UserError
from components.core.params import Config, Settings, check_name

Use = Literal["train", "exam", "benchmark", "topics"]
EXTRACTED = "extracted"
"""What the topics of forums became goes under this name beside the sources."""
SOLUTIONS = "solutions.parquet"
"""The file beside problems that holds the solutions which their sources brought along."""


class Source(Settings):
    """What every entry says."""

    model_config = ConfigDict(extra="ignore")

    use: Use
    """train: may be trained on; exam: what models are asked; benchmark: what no row may ask; topics: discussions that hold problems."""


class Sources(Config, section="sources"):
    """All entries, in the order of params.yaml."""

    generated: dict[str, Source]
    files: dict[str, Source]
    hub: dict[str, Source]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        found = super().check(params, path, key)
        seen: dict[str, str] = {}
        for group in cls.model_fields:
            for name in getattr(found, group):
                where = f"{path}: sources.{group}.{name}"
                check_name(name, where)
                if name == EXTRACTED:
                    raise UserError(f"{where}: the name '{name}' is that of the problems from forum topics; take another")
                if name in seen:
                    raise UserError(f"{where}: the name '{name}' is that of sources.{seen[name]}.{name}, too; rename one, or take one out")
                seen[name] = group
        return found

    def with_use(self, use: Use) -> list[str]:
        """The names of the sources with this use, in order."""
        return [name for group in (self.generated, self.files, self.hub) for name, source in group.items() if source.use == use]
