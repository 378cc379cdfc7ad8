"""The wire: package kaggle_evaluation_client, service KaggleEvaluationService, one call `Send`.

The message classes are built from the table below when they are first asked for, in a pool of their own: no generated code that must
match the protobuf release of a notebook, and no quarrel with Kaggle's own classes in the same process.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

PACKAGE = "kaggle_evaluation_client"
SERVICE = f"{PACKAGE}.KaggleEvaluationService"
METHOD = "Send"
PAYLOAD = (
    ("str_value", "string"),
    ("bool_value", "bool"),
    ("int_value", "sint64"),
    ("float_value", "float"),  # 32 bits: a whole number beyond 2^24 does not survive as a Python float
    ("none_value", "bool"),  # being set is the message
    ("list_value", "PayloadList"),
    ("tuple_value", "PayloadList"),
    ("dict_value", "PayloadMap"),
    ("pandas_dataframe_value", "bytes"),
    ("polars_dataframe_value", "bytes"),
    ("pandas_series_value", "bytes"),
    ("polars_series_value", "bytes"),
    ("numpy_array_value", "bytes"),
    ("numpy_scalar_value", "bytes"),
    ("bytes_io_value", "bytes"),
)
"""The kinds of a value, numbered from 1 as they stand here."""


SCALARS = {"string", "bool", "sint64", "float", "bytes"}


class Messages(NamedTuple):
    """The message classes."""

    Request: Any
    """`name`, `args` (repeated Payload), `kwargs` (string to Payload)."""
    Response: Any
    """`payload`."""
    Payload: Any
    List: Any
    """`payloads` (repeated Payload)."""
    Map: Any
    """`payload_map` (string to Payload)."""


@functools.cache
def messages() -> Messages:
    """The classes, made once."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="kaggle_evaluation.proto", package=PACKAGE, syntax="proto3")
    payload = _message(file, "Payload", PAYLOAD)
    payload.oneof_decl.add(name="value")
    for field in payload.field:
        field.oneof_index = 0
    _message(file, "PayloadList", [("payloads", "repeated Payload")])
    _message(file, "PayloadMap", [("payload_map", "map Payload")])
    _message(file, "KaggleEvaluationRequest", [("name", "string"), ("args", "repeated Payload"), ("kwargs", "map Payload")])
    _message(file, "KaggleEvaluationResponse", [("payload", "Payload")])
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    names = ("KaggleEvaluationRequest", "KaggleEvaluationResponse", "Payload", "PayloadList", "PayloadMap")
    return Messages(*(message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names))


def _message(file: Any, name: str, fields: Iterable[tuple[str, str]]) -> Any:
    """Adds a message with these fields, numbered from 1, and returns its description."""
    made = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, 1):
        _field(made, field, number, kind)
    return made


def _field(message: Any, name: str, number: int, kind: str) -> None:
    """One field: a scalar, a message, `repeated` messages, or a `map` from strings (on the wire: repeated pairs of key and value)."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *many, kind = kind.split()
    field = message.field.add(name=name, number=number, label=Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL)
    if kind in SCALARS:
        field.type = getattr(Field, f"TYPE_{kind.upper()}")
        return
    field.type, field.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    if many == ["map"]:
        pair = message.nested_type.add(name="".join(word.title() for word in name.split("_")) + "Entry")
        pair.options.map_entry = True
        _field(pair, "key", 1, "string")
        _field(pair, "value", 2, kind)
        field.type_name = f".{PACKAGE}.{message.name}.{pair.name}"
