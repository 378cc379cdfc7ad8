"""Values to payloads and back: the fifteen kinds of value that the protocol knows, and a TypeError for all else.

The order of the table matters: numpy's scalars come first because many of them are also Python's (np.float64 is a float), and bool
before int. Nothing is ever pickled, so that a payload from a stranger runs no code.
"""

import io
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from components.lib.kaggle.messages import messages


class Kind(NamedTuple):
    """One kind of value: its field, its Python type by name, and the way there and back."""

    field: str
    type: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def pack(value: Any) -> Any:
    """The Payload of a value; TypeError where the protocol has none for it."""
    for kind in KINDS:
        if is_a(value, kind.type):
            return messages().Payload(**{kind.field: kind.dump(value)})
    raise TypeError(f"Type {type(value)} has no payload: send a number, text, list, tuple, dict, frame, series, numpy array or BytesIO")


def unpack(payload: Any) -> Any:
    """The value of a Payload; TypeError where none is set."""
    field = payload.WhichOneof("value")
    for kind in KINDS:
        if kind.field == field:
            return kind.load(getattr(payload, field))
    raise TypeError(f"a payload of an unknown kind: {field}")


def is_a(value: Any, name: str) -> bool:
    """Whether it is of the type of this name. A library that nobody imported has no values, and is not imported to find that out."""
    module, _, kind = name.rpartition(".")
    return isinstance(value, getattr(sys.modules.get(module), kind, ()))


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


def _load_pandas(sent: bytes) -> Any:
    import pandas as pd

    return pd.read_parquet(io.BytesIO(sent))


def _dump_polars(frame: Any) -> bytes:
    """An Arrow stream in the oldest layout: string views are unknown to older readers."""
    import polars as pl

    banned = {dtype for dtype in frame.dtypes if dtype.base_type() in (pl.Enum, pl.Object, pl.Unknown)}
    if banned:
        raise TypeError(f"a polars frame with columns of type {banned} has no payload")
    written = io.BytesIO()
    frame.write_ipc_stream(written, compression="lz4", compat_level=pl.CompatLevel.oldest())
    return written.getvalue()


def _load_polars(sent: bytes) -> Any:
    import polars as pl

    return pl.read_ipc_stream(io.BytesIO(sent))


def _dump_polars_series(series: Any) -> bytes:
    written = io.BytesIO()
    series.to_frame().write_parquet(written, compression="lz4", statistics=False)
    return written.getvalue()


def _load_polars_series(sent: bytes) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(sent)).to_series()


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


def _load_array(sent: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(sent), allow_pickle=False)


def _same(value: Any) -> Any:
    return value


KINDS = (
    Kind("numpy_scalar_value", "numpy.generic", _dump_scalar, lambda sent: _load_array(sent)[()]),
    Kind("str_value", "builtins.str", _same, _same),
    Kind("bool_value", "builtins.bool", _same, _same),
    Kind("int_value", "builtins.int", _same, _same),
    Kind("float_value", "builtins.float", _same, _same),
    Kind("none_value", "types.NoneType", lambda _: True, lambda _: None),
    Kind("list_value", "builtins.list", _dump_all, lambda sent: [unpack(item) for item in sent.payloads]),
    Kind("tuple_value", "builtins.tuple", _dump_all, lambda sent: tuple(unpack(item) for item in sent.payloads)),
    Kind("dict_value", "builtins.dict", _dump_dict, lambda sent: {key: unpack(value) for key, value in sent.payload_map.items()}),
    Kind("pandas_dataframe_value", "pandas.DataFrame", _dump_pandas, _load_pandas),
    Kind("polars_dataframe_value", "polars.DataFrame", _dump_polars, _load_polars),
    Kind("pandas_series_value", "pandas.Series", lambda value: _dump_pandas(value.to_frame()), lambda sent: _load_pandas(sent).iloc[:, 0]),
    Kind("polars_series_value", "polars.Series", _dump_polars_series, _load_polars_series),
    Kind("numpy_array_value", "numpy.ndarray", _dump_array, _load_array),
    Kind("bytes_io_value", "io.BytesIO", lambda value: value.getvalue(), io.BytesIO),
)
