"""Where the rows of a source of files lie: one file, a folder of files, or an address from which a copy is fetched for the time of reading.

DVC watches the same path, as dvc.yaml names it; an s3:// address needs the extra `s3`. Does not know what the rows mean.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from components.collect.readers import FORMATS, File
from components.collect.source import Collect
from components.core.errors import UserError
from components.core.watch import watched

CHUNK_BYTES = 2**20


class FileSource(Collect):
    """An entry of `sources.files`."""

    path: str
    """A file or folder, from the project's root or absolute, or a file's https:// or s3:// address; .jsonl, .csv (both also .gz), .parquet.

    Of a folder all such files are read, in the order of their names.
    """
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    """Which bytes it holds (of a folder, those of its files one after another); null: whichever lie there."""

    @contextmanager
    def files(self) -> Iterator[tuple[list[File], str]]:
        """The files, and the digest of their bytes; raises UserError where there is none, or where the entry names another digest."""
        with tempfile.TemporaryDirectory() as folder:
            if "://" in self.path:
                files = [File(self._download(Path(folder)), self.path)]
            elif watched(Path(self.path)).is_dir():
                files = [File(path, str(path)) for path in sorted(Path(self.path).iterdir()) if path.name.endswith(FORMATS)]
            else:
                files = [File(Path(self.path), self.path)]
            if not files:
                raise UserError(f"{self.path}: no file in this folder ends in {', '.join(FORMATS)}; put one there or take {self.where} out")
            yield files, self._digest(files)

    def _digest(self, files: list[File]) -> str:
        whole = hashlib.sha256()
        for file in files:
            with file.open() as data:
                while chunk := data.read(CHUNK_BYTES):
                    whole.update(chunk)
        found = whole.hexdigest()
        if self.sha256 not in (None, found):
            raise UserError(
                f"{self.path}: its SHA-256 is {found}, but {self.where} names {self.sha256}; "
                "put the named file there, or write the new digest into params.yaml"
            )
        return found

    def _download(self, folder: Path) -> Path:
        """A copy of the file at an address, under its own name."""
        import fsspec

        copy = folder / self.path.rpartition("/")[2].partition("?")[0]
        try:
            with fsspec.open(self.path, "rb") as there, copy.open("wb") as here:
                while chunk := there.read(CHUNK_BYTES):
                    here.write(chunk)
        except (ImportError, ValueError) as error:  # fsspec's words for a protocol that it has no library for, or does not know
            raise UserError(f"{self.path}: {error}; for s3:// addresses `pip install 'aimo-forge[s3]'`, or name a local copy") from None
        except FileNotFoundError:
            raise UserError(f"{self.path}: no such file there; mend {self.where}.path") from None
        return copy
