"""A model that a running server holds: only its name there, and its tokenizer, with which prompts are rendered and counted here.

The server's address stands in infra/machine.yaml under the model's name, its key in the environment: neither is part of what is computed.
"""

import shutil
from pathlib import Path
from typing import Literal

from components.core.errors import UserError
from components.core.runner import Metrics
from components.fetch.kind import Fetch
from components.lib import references
from components.lib.references import Reference

TOKENIZER = ("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*",
             "vocab*", "merges.txt")  # fmt: skip


class Kind(Fetch, section="models", keyed=True):
    """What the server calls it."""

    group = "import"
    kind: Literal["server"]
    served_model_name: str
    """As vLLM's --served-model-name; a server that holds another model is refused."""
    path: str
    """A folder with its tokenizer and config.json; weights there are not read."""

    def write(self, out: Path) -> Metrics:
        folder = Path(self.path)
        files = sorted({file for pattern in TOKENIZER for file in folder.glob(pattern) if file.is_file()})
        if not any(file.name in ("tokenizer.json", "tokenizer_config.json") for file in files):
            raise UserError(f"{folder}: no tokenizer in it (tokenizer.json), which renders prompts for '{self.served_model_name}'")
        out.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, out / file.name)
        references.write(Reference(kind="server", path=None, served_model_name=self.served_model_name, files={}), out)
        return {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
