"""Records of a foreign file, one at a time: .jsonl, .csv (both also .gz) and .parquet, told apart by the name's ending.

A file that is not what its name says is a UserError that names the file, the line or row, and the cure. Does not know what a record means.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.watch import watched

Record = tuple[int, dict[str, Any]]
"""The number of the row, from 1, and its fields."""
BATCH = 1024


def records(path: Path) -> Iterator[Record]:
    """All records of a file; raises UserError where there is not one."""
    if not watched(path).is_file():
        raise UserError(f"{path}: no such file; put it there or name another in params.yaml")
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in readers or path.name.endswith(".parquet.gz"):
        raise UserError(f"{path}: cannot tell the format; names end in .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet")
    number = 0
    for number, record in readers[suffix](path):
        yield number, record
    if number == 0:
        raise UserError(f"{path}: holds no rows; remove its entry from params.yaml or fill the file")


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


def _lines(path: Path) -> Iterator[str]:
    """The file's lines as text, with their endings."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as data:
            for number, line in enumerate(data, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, line {number}: not UTF-8 (byte {error.start}: {error.reason}); convert it, e.g. with iconv") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}, after line {number}: not whole gzip data ({error}); fetch the file again") from None


def _jsonl(path: Path) -> Iterator[Record]:
    number = 0
    for line_number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        number += 1
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {line_number}: not JSON ({error}); mend or remove the line") from None
        if not isinstance(record, dict):
            raise UserError(f"{path}, line {line_number}: a {type(record).__name__}, not an object with named fields")
        yield number, record


def _csv(path: Path) -> Iterator[Record]:
    table = csv.reader(_lines(path), strict=True)
    number = 0
    try:
        header = next(table, [])
        if len(set(header)) != len(header):
            raise UserError(f"{path}: two columns of the same name in the header: {', '.join(header)}")
        for number, cells in enumerate((cells for cells in table if cells), 1):
            if len(cells) != len(header):
                raise UserError(f"{path}, row {number}: {len(cells)} cells under {len(header)} columns; check its quotes and commas")
            yield number, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, after row {number}: not CSV ({error}); check its quotes") from None


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a whole parquet file ({error}); fetch it again") from None
