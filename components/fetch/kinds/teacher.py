"""No weights at all: the template teacher (lib/engine/teacher.py), which knows the generated problems. `engine: teacher` asks it."""

from pathlib import Path
from typing import Literal

from components.core.runner import Metrics
from components.fetch.kind import Fetch
from components.lib import references
from components.lib.references import Reference


class Kind(Fetch, section="models", keyed=True):
    """A name for what needs no model."""

    kind: Literal["teacher"]

    def write(self, out: Path) -> Metrics:
        references.write(Reference(kind="teacher", path=None, served_model_name=None, files={}), out)
        return {"files": 0, "bytes": 0}
