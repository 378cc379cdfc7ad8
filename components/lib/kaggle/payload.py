"""Values to payloads and back: the fifteen kinds of value that the protocol knows, and a TypeError for all else.

The order of the table matters: numpy's scalars come first because many of them are also Python's (np.float64 is a float), and bool
before int. Nothing is ever pickled, so that a payload from a stranger runs no code.
"""

import functools
import io
from collections.abc import Callable
from typing import Any, NamedTuple

from components.lib.kaggle.messages import messages


class Kind(NamedTuple):
    """One kind of value: its field, its Python type, and the way there and back."""

    field: str
    type: type
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def pack(value: Any) -> Any:
    """The Payload of a value; TypeError where the protocol has none for it."""
    for kind in _kinds():
        if isinstance(value, kind.type):
            return messages().Payload(**{kind.field: kind.dump(value)})
    raise TypeError(f"Type {type(value)} has no payload: send a number, text, list, tuple, dict, frame, series, numpy array or BytesIO")


def unpack(payload: Any) -> Any:
    """The value of a Payload; TypeError where none is set."""
    field = payload.WhichOneof("value")
    for kind in _kinds():
        if kind.field == field:
            return kind.load(getattr(payload, field))
    raise TypeError(f"a payload of an unknown kind: {field}")


@functools.cache
def _kinds() -> tuple[Kind, ...]:
    import numpy as np
    import pandas as pd
    import polars as pl

    def same(value: Any) -> Any:
        return value

    return (
        Kind("numpy_scalar_value", np.generic, _dump_scalar, _load_scalar),
        Kind("str_value", str, same, same),
        Kind("bool_value", bool, same, same),
        Kind("int_value", int, same, same),
        Kind("float_value", float, same, same),
        Kind("none_value", type(None), lambda _: True, lambda _: None),
        Kind("list_value", list, _dump_all, lambda sent: [unpack(item) for item in sent.payloads]),
        Kind("tuple_value", tuple, _dump_all, lambda sent: tuple(unpack(item) for item in sent.payloads)),
        Kind("dict_value", dict, _dump_dict, lambda sent: {key: unpack(value) for key, value in sent.payload_map.items()}),
        Kind("pandas_dataframe_value", pd.DataFrame, _dump_pandas, lambda sent: pd.read_parquet(io.BytesIO(sent))),
        Kind("polars_dataframe_value", pl.DataFrame, _dump_polars, _load_polars),
        Kind("pandas_series_value", pd.Series, lambda value: _dump_pandas(value.to_frame()), _load_pandas_series),
        Kind("polars_series_value", pl.Series, _dump_polars_series, lambda sent: pl.read_parquet(io.BytesIO(sent)).to_series()),
        Kind("numpy_array_value", np.ndarray, _dump_array, lambda sent: np.load(io.BytesIO(sent), allow_pickle=False)),
        Kind("bytes_io_value", io.BytesIO, lambda value: value.getvalue(), io.BytesIO),
    )


def _dump_all(values: Any) -> Any:
    return messages().List(payloads=[pack(value) for value in values])


def _dump_dict(values: dict[Any, Any]) -> Any:
    for key in values:
        if not isinstance(key, str):
            raise TypeError(f"a dict with the key {key!r} has no payload: keys must be text")
    return messages().Map(payload_map={key: pack(value) for key, value in values.items()})


def _dump_pandas(frame: Any) -> bytes:
    """Parquet, the columns' names made text; the index is not sent."""
    written = io.BytesIO()
    frame.rename(columns=str).to_parquet(written, index=False, compression="lz4")
    return written.getvalue()


def _load_pandas_series(sent: bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(sent)).iloc[:, 0]


def _dump_polars(frame: Any) -> bytes:
    """An Arrow stream, through pyarrow: polars' own writer has string views, which older readers cannot read."""
    import polars as pl
    import pyarrow as pa

    banned = {dtype for dtype in frame.dtypes if dtype.base_type() in (pl.Enum, pl.Object, pl.Unknown)}
    if banned:
        raise TypeError(f"a polars frame with columns of type {banned} has no payload")
    table, written = frame.to_arrow(), io.BytesIO()
    with pa.ipc.new_stream(written, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(table)
    return written.getvalue()


def _load_polars(sent: bytes) -> Any:
    import polars as pl
    import pyarrow as pa

    with pa.ipc.open_stream(sent) as stream:
        return pl.from_arrow(stream.read_all())


def _dump_polars_series(series: Any) -> bytes:
    written = io.BytesIO()
    series.to_frame().write_parquet(written, compression="lz4", statistics=False)
    return written.getvalue()


def _dump_array(array: Any) -> bytes:
    import numpy as np

    written = io.BytesIO()
    try:
        np.save(written, array, allow_pickle=False)
    except ValueError as error:  # objects, which only pickle could write
        raise TypeError(f"a numpy array of {array.dtype} has no payload: {error}") from None
    return written.getvalue()


def _dump_scalar(scalar: Any) -> bytes:
    import numpy as np

    if not isinstance(scalar, np.number | np.bool_):
        raise TypeError(f"a numpy scalar of type {type(scalar)} has no payload: numbers and booleans have")
    return _dump_array(np.asarray(scalar))


def _load_scalar(sent: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(sent), allow_pickle=False)[()]
