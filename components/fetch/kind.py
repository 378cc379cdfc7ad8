"""What a kind of fetched model is: an entry of `models.fetch` or `models.import`, whose `kind` names a file of kinds/ with a class `Kind`.

`models.import` holds those with a `path` that DVC watches, `models.fetch` those without. Does not know any kind.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from components.core import params as parameters
from components.core.errors import UserError
from components.core.params import Config, named_module
from components.core.runner import Metrics

GROUPS = ("fetch", "import")


class Fetch(Config, section="models", keyed=True):
    """An entry, by its group and name (`fetch.base`); the other fields are its kind's."""

    group: ClassVar[str] = "fetch"
    """Where entries of this kind stand."""
    kind: str

    @classmethod
    def keys(cls, params: Mapping[str, Any], path: Path) -> list[str]:
        """All entries of both groups."""
        return [f"{group}.{name}" for group in GROUPS for name in parameters.at(params, f"models.{group}", path)]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """The entry as the Kind of its name; a Kind checks itself as any section does."""
        if cls is not Fetch:
            return super().check(params, path, key)
        kind = parameters.at(params, f"models.{key}", path).get("kind")
        found = named_module("components.fetch.kinds", kind, f"{path}: models.{key}.kind", "kind of model").Kind
        if (key or "").partition(".")[0] != found.group:
            raise UserError(f"{path}: models.{key}: a model of kind '{kind}' stands under models.{found.group}; move the entry there")
        return found.check(params, path, key)

    def write(self, out: Path) -> Metrics:
        """Writes the model folder `out`."""
        raise NotImplementedError
