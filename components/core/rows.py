"""Streams of one row type to and from files.

Sealed datasets are parquet (zstd, written in groups of ROW_GROUP rows: the same rows give the same bytes). JsonlWriter files are jsonl,
one flushed line per row, so that a killed writer loses at most the line it was writing. Memory stays flat: nothing here
holds more than one group. Sealed files carry the version of their format: one of another version is an error, never misread.
Does not know what the rows mean.
"""

import json
import os
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from components.core.errors import UserError
from components.core.types import Row

R = TypeVar("R", bound=Row)
ROW_GROUP = 4096
FORMAT = "2"
"""The version of what row types hold; it changes with them, and a file of another version is made again."""
FORMAT_KEY = "aimo.format"
"""Where a parquet file's schema names its version."""


def read(path: Path, kind: type[R]) -> Iterator[R]:
    """The rows of a sealed (.parquet) or growing (.jsonl) file, in order. Raises UserError naming the file, the row and the field."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; `dvc repro` makes what a stage reads, `dvc status` says what is missing")
    records = _parquet(path) if path.suffix == ".parquet" else _jsonl(path)
    for number, record in records:
        yield validated(record, kind, f"{path}, row {number}")


def validated(record: str | dict[str, Any], kind: type[R], where: str) -> R:
    """A line of a growing file, or a record of a sealed one, as a row. Raises UserError saying where it lies and which field is wrong."""
    try:
        return kind.model_validate_json(record) if isinstance(record, str) else kind.model_validate(record, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the row"
        raise UserError(f"{where}: {field}: {first['msg']} (wanted: {kind.__name__})") from None


def check_format(path: Path) -> None:
    """Raises UserError where a sealed file is of another version of the format, for who reads it without `read`."""
    next(_parquet(path), None)


def write(path: Path, rows: Iterable[R], kind: type[R]) -> int:
    """Seals the rows into a parquet file at `path`, atomically, and returns how many there were."""
    with ParquetWriter(path, kind) as file:
        for row in rows:
            file.append(row)
    return file.count


class ParquetWriter(Generic[R]):
    """A parquet file that rows are appended to; it stands at `path` when all is done, and nothing does where it broke off."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        import pyarrow.parquet as pq

        self.path, self.count = path, 0
        self._shape, self._group = schema(kind), list[dict[str, Any]]()
        self._partial = path.with_name(f".{path.name}.partial")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(self._partial, self._shape, compression="zstd")

    def append(self, row: R) -> None:
        self._group.append(row.model_dump())
        self.count += 1
        if len(self._group) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._file.write_table(pa.Table.from_pylist(self._group, self._shape))
        self._group = []

    def __enter__(self) -> "ParquetWriter[R]":
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            with self._file:
                if failed is None:
                    self._flush()
            if failed is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


class JsonlWriter:
    """A jsonl file that rows are appended to, one flushed line each; a half-written last line is cut off on opening."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            whole = path.read_bytes()
            os.truncate(path, whole.rfind(b"\n") + 1)
        self._file = path.open("a", encoding="utf-8")

    def append(self, row: Row) -> None:
        self._file.write(row.model_dump_json() + "\n")
        self._file.flush()

    def __enter__(self) -> "JsonlWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def schema(kind: type[Row]) -> Any:
    """The arrow schema of a row type, with the version of the format."""
    import pyarrow as pa

    fields = [pa.field(name, _arrow(field.annotation)) for name, field in kind.model_fields.items()]
    return pa.schema(fields, metadata={FORMAT_KEY: FORMAT})


def _arrow(hint: Any) -> Any:
    import pyarrow as pa

    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in plain:
        return plain[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _arrow(next(arg for arg in args if arg is not type(None)))
    if origin is typing.Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(_arrow(args[0]))
    return pa.struct([pa.field(name, _arrow(field.annotation)) for name, field in hint.model_fields.items()])


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            _check_format(path, file.schema_arrow.metadata or {})
            for batch in file.iter_batches(ROW_GROUP):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the system's own; what arrow finds in the bytes has no number
            raise
        raise UserError(f"{path}, after row {number}: not a whole parquet file ({error}); remove it and make it again") from None


def _check_format(path: Path, metadata: Mapping[bytes, bytes]) -> None:
    found = metadata.get(FORMAT_KEY.encode(), b"none").decode(errors="replace")
    if found != FORMAT:
        raise UserError(
            f"{path}: its rows are of format {found} (its schema's {FORMAT_KEY}), this code reads {FORMAT}; `dvc repro` makes it again"
        )


def _jsonl(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                json.loads(text := line.decode("utf-8"))
            except ValueError as error:
                raise UserError(f"{path}, line {number}: not JSON ({error}); mend or remove the line") from None
            yield number, text
