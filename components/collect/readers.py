"""Records of a foreign file, one at a time: .jsonl, .csv (both also .gz) and .parquet, told apart by the name's ending.

A file that is not what its name says is a UserError that names the file, the line or row, and the cure. Does not know what a record means.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from components.core.errors import UserError

Record = tuple[int, dict[str, Any]]
"""The number of the row, from 1, and its fields."""
BATCH = 1024
FORMATS = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


class File(NamedTuple):
    """A file, and what the user calls it: a path, or the address that it is a copy of."""

    path: Path
    name: str

    def __str__(self) -> str:
        return self.name

    def open(self) -> IO[bytes]:
        """Its bytes; raises UserError where it is not there or cannot be of a known format."""
        if not self.path.is_file():
            raise UserError(f"{self}: no such file; put it there or name another in params.yaml")
        if not self.path.name.endswith(FORMATS):
            raise UserError(f"{self}: cannot tell the format; names end in {', '.join(FORMATS)}")
        return self.path.open("rb")


def rows_of(files: Iterable[File]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All records of the files, each with the words for where it stands."""
    for file in files:
        for number, record in records(file):
            yield f"{file}, row {number}", record


def records(file: File) -> Iterator[Record]:
    """All records of a file; raises UserError where there is not one."""
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    suffix = next(suffix for suffix in readers if file.path.name.removesuffix(".gz").endswith(suffix))
    number = 0
    for number, record in readers[suffix](file):
        yield number, record
    if number == 0:
        raise UserError(f"{file}: holds no rows; remove its entry from params.yaml or fill the file")


def field(record: dict[str, Any], name: str, where: str) -> Any:
    """One field of a record, a.0.b being a field inside a list inside a field; raises UserError naming those present."""
    if name in record:
        return record[name]
    found: Any = record
    for part in name.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise UserError(f"{where}: no field '{name}'; it has: {', '.join(record)}")
    return found


def _lines(file: File) -> Iterator[str]:
    """The file's lines as text, with their endings."""
    number = 0
    try:
        with file.open() as raw, gzip.open(raw) if file.path.suffix == ".gz" else raw as data:
            for number, line in enumerate(data, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, line {number}: not UTF-8 (byte {error.start}: {error.reason}); convert it, e.g. with iconv") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file}, after line {number}: not whole gzip data ({error}); fetch the file again") from None


def _jsonl(file: File) -> Iterator[Record]:
    number = 0
    for line_number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        number += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{file}, line {line_number}: not JSON ({error}); mend or remove the line") from None
        if not isinstance(record, dict):
            raise UserError(f"{file}, line {line_number}: a {type(record).__name__}, not an object with named fields")
        yield number, record


def _csv(file: File) -> Iterator[Record]:
    table = csv.reader(_lines(file), strict=True)
    number = 0
    try:
        header = next(table, [])
        if len(set(header)) != len(header):
            raise UserError(f"{file}: two columns of the same name in the header: {', '.join(header)}")
        for number, cells in enumerate((cells for cells in table if cells), 1):
            if len(cells) != len(header):
                raise UserError(f"{file}, row {number}: {len(cells)} cells under {len(header)} columns; check its quotes and commas")
            yield number, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{file}, after row {number}: not CSV ({error}); check its quotes") from None


def _parquet(file: File) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file.path) as table:
            for batch in table.iter_batches(BATCH):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file}: not a whole parquet file ({error}); fetch it again") from None
