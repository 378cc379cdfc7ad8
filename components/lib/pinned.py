"""A file that params.yaml names together with its digest: the same bytes or a clear error, since no stage's dependency watches it."""

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from components.core.errors import UserError
from components.core.params import Settings
from components.core.watch import watched


class Pinned(Settings):
    """A file and what it must hold."""

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def checked(self) -> Path:
        """The file; raises UserError where it is missing or another one."""
        path = watched(Path(self.path))
        if not path.is_file():
            raise UserError(f"{path}: no such file, but params.yaml names it with the SHA-256 {self.sha256[:12]}...; put it there")
        found = digest(path)
        if found != self.sha256:
            raise UserError(f"{path}: its SHA-256 is {found}, but params.yaml names {self.sha256}; write the digest of the file you mean")
        return path


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
