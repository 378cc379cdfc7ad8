"""Models that lie elsewhere: `models/<name>/reference.json` stands for a folder, a server's model, or the template teacher.

Written by fetch, read where a model is opened: whoever asks `resolve` gets the folder that really holds the files. Reads no weights.
"""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from components.core.errors import UserError
from components.core.params import Settings
from components.core.runner import write_json
from components.core.watch import watched

FILE = "reference.json"


class File(Settings):
    """What a file of a referenced folder held when it was looked at."""

    size: int
    sha256: str


class Reference(Settings):
    """What a model folder without weights stands for."""

    kind: Literal["folder", "server", "teacher"]
    path: str | None
    """The folder that holds the files."""
    served_model_name: str | None
    """What the server calls the model."""
    files: dict[str, File]
    """Of the folder, by name."""


def write(reference: Reference, out: Path) -> None:
    """Makes a model folder of the reference."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / FILE, reference.model_dump())


def of(model: Path) -> Reference | None:
    """What the folder refers to; None where it holds the model itself."""
    path = model / FILE
    if not path.is_file():
        return None
    try:
        return Reference.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{path}: not a reference to a model ({error.errors()[0]['msg']}); `dvc repro` writes it") from None


def resolve(model: Path) -> Path:
    """The folder that holds the model's files; a referenced one must stay as it is while a stage runs.

    Raises UserError where it is not as it was when it was looked at.
    """
    reference = of(model)
    if reference is None or reference.path is None:
        return model
    folder = Path(reference.path)
    for name, known in reference.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != known.size:
            raise UserError(f"{file}: is not what {model / FILE} recorded; `dvc repro import@{model.name}` looks at the folder again")
    return watched(folder)


def digests(folder: Path) -> dict[str, File]:
    """Size and SHA-256 of every file right in the folder: subfolders hold other forms of the same weights (onnx/, original/)."""
    found = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        with path.open("rb") as file:
            found[path.name] = File(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    return found
