"""Which folder tells about a model before it is made: its own, or that of the nearest model that it starts from.

Reads section `models` and what lies under models/. Opens no weights.
"""

from pathlib import Path
from typing import NamedTuple

from components.core.models import Models
from components.lib import references


class ModelFolder(NamedTuple):
    """What is known of a model."""

    name: str
    path: Path | None
    """Where config.json and the tokenizer are; None: nowhere yet."""
    own: bool
    """Whether that is the model's own folder."""
    root: str
    """The model at the end of the way back: who brings the first files."""
    trained: bool
    """Whether it learned the project's own rows."""
    weights: bool
    """Whether it has any here: the template teacher has none, a served model's are elsewhere."""


def made(model: Path) -> ModelFolder:
    """Of a model that is there, where nobody asks who made it: its own folder."""
    reference = references.of(model)
    kind = reference.kind if reference else "folder"
    return ModelFolder(model.name, references.resolve(model), True, model.name, True, kind not in ("teacher", "server"))


def find(models: Models, name: str, root: Path = Path()) -> ModelFolder:
    """Looks for the nearest folder on the way back from `name`; `root` is the project's."""
    chain = [name]
    while (start := models.origins[chain[-1]].start) is not None:
        chain.append(start)
    last = chain[-1]
    kind = {**models.fetch, **models.import_}[last].get("kind")
    here = next((one for one in chain if (root / "models" / one).exists()), None)
    trained = kind == "scratch" or any(models.origins[one].stage.startswith("train@") for one in chain)
    path = references.resolve(root / "models" / here) if here else None
    return ModelFolder(name, path, here == name, last, trained, kind not in ("teacher", "server"))
