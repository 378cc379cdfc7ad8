"""A model folder that lies elsewhere: it is used where it is, and never copied. The reference holds its files' digests, so that every stage
that reads the model runs again when the folder changes.
"""

from pathlib import Path
from typing import Literal

from components.core.runner import Metrics
from components.fetch.kind import Fetch
from components.lib import checkpoint, references
from components.lib.references import Reference


class Kind(Fetch, section="models", keyed=True):
    """Where it lies."""

    group = "import"
    kind: Literal["folder"]
    path: str
    """From the project's root, or absolute; safetensors, tokenizer and config.json, as a hub gives them."""

    def write(self, out: Path) -> Metrics:
        folder = Path(self.path)
        checkpoint.check(folder)
        files = references.digests(folder)
        references.write(Reference(kind="folder", path=self.path, served_model_name=None, files=files), out)
        return {"files": len(files), "bytes": sum(file.size for file in files.values())}
