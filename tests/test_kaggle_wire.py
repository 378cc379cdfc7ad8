"""The protocol's two ends against a second writing of it (kaggle_fixtures.py), and every kind of value there and back."""

import io
import re
from typing import Any

import grpc
import numpy as np
import pandas as pd
import polars as pl
import pytest

from components.core.errors import UserError
from components.lib.kaggle.client import GrpcClient, InProcessClient
from components.lib.kaggle.failure import ErrorName, Failure
from components.lib.kaggle.messages import messages
from components.lib.kaggle.payload import pack, unpack
from components.lib.kaggle.server import InferenceServer
from components.serve.notebook import predictor
from tests import kaggle_fixtures

FRAME = {"id": ["a", "b"], "answer": [1, 2]}
VALUES: list[tuple[int, Any]] = [
    (kaggle_fixtures.STR, "x² – ß"),
    (kaggle_fixtures.BOOL, True),
    (kaggle_fixtures.INT, -7),
    (kaggle_fixtures.INT, 2**63 - 1),
    (kaggle_fixtures.FLOAT, 0.5),
    (kaggle_fixtures.NONE, None),
    (kaggle_fixtures.LIST, [1, ["a", None], (2,)]),
    (kaggle_fixtures.TUPLE, (1, "a")),
    (kaggle_fixtures.DICT, {"a": 1, "b": {"c": [False]}}),
    (kaggle_fixtures.PANDAS_FRAME, pd.DataFrame(FRAME)),
    (kaggle_fixtures.POLARS_FRAME, pl.DataFrame(FRAME)),
    (kaggle_fixtures.PANDAS_SERIES, pd.Series([1, 2], name="answer")),
    (kaggle_fixtures.POLARS_SERIES, pl.Series("question", ["What is 1 + 1?"])),
    (kaggle_fixtures.ARRAY, np.arange(6.0).reshape(2, 3)),
    (kaggle_fixtures.SCALAR, np.float64(0.1)),
    (kaggle_fixtures.SCALAR, np.int64(2**40)),
    (kaggle_fixtures.SCALAR, np.bool_(True)),
    (kaggle_fixtures.BYTES, io.BytesIO(b"\0raw")),
]


def there_and_back(value: Any) -> tuple[int, Any]:
    """The number of the field that carried a value, and what came out."""
    sent = pack(value).SerializeToString()
    ((field, _),) = kaggle_fixtures.fields(sent)
    return field, unpack(messages().Payload.FromString(sent))


@pytest.mark.parametrize(("field", "value"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_travels_in_its_field_and_comes_out_as_it_went_in(field: int, value: Any) -> None:
    used, back = there_and_back(value)
    assert used == field and type(back) is type(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        assert back.equals(value)
    elif isinstance(value, pl.DataFrame | pl.Series):
        assert back.equals(value) and getattr(back, "name", None) == getattr(value, "name", None)
    elif isinstance(value, np.ndarray):
        assert np.array_equal(back, value) and back.dtype == value.dtype
    else:
        assert back.getvalue() == value.getvalue() if isinstance(value, io.BytesIO) else back == value


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", 1j, {1: "a"}, [object()], np.array([object()]), np.str_("a"), pl.DataFrame({"o": [object()]})],
    ids=lambda value: type(value).__name__,
)
def test_any_other_value_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="payload"):
        pack(value)


def test_a_pickled_array_is_refused_and_runs_no_code() -> None:
    written = io.BytesIO()
    np.save(written, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        unpack(messages().Payload(numpy_array_value=written.getvalue()))


@pytest.mark.parametrize("number", [2**24 + 1, 99_999_999])
def test_a_whole_number_beyond_2_to_24_survives_as_an_integer_and_not_as_a_float(number: int) -> None:
    assert there_and_back(number)[1] == number
    assert there_and_back(float(number))[1] != number  # 32 bits hold 24 of it
    assert there_and_back(np.float64(number))[1] == number  # numpy's scalars and frames keep their 64
    assert there_and_back(pl.DataFrame({"answer": [float(number)]}))[1].item() == number


def test_every_answer_of_a_contest_survives_even_as_a_float() -> None:
    for number in (0, 999, 99_999):
        assert there_and_back(float(number))[1] == number


@pytest.mark.parametrize(
    ("by", "value"),
    [(kaggle_fixtures.integer(-7), -7), (kaggle_fixtures.real(0.5), 0.5), (kaggle_fixtures.delimited(kaggle_fixtures.STR, b"a"), "a")],
)
def test_payloads_made_by_hand_are_the_same_bytes(by: bytes, value: Any) -> None:
    assert pack(value).SerializeToString() == by
    assert unpack(messages().Payload.FromString(by)) == value


def add(name: str, question: str) -> int | None:
    """The arithmetic solver: a sum, or no answer."""
    numbers = re.fullmatch(r"What is (\d+) \+ (\d+)\?", question)
    return int(numbers[1]) + int(numbers[2]) if numbers else None


def test_an_independent_client_is_answered_fifty_problems() -> None:
    with InferenceServer(predictor(add), port=0) as server:
        client = kaggle_fixtures.Client(server.port)
        for number in range(50):
            got = client.predict(f"p{number}", f"What is {number} + {number * 7}?")
            assert got == {"id": [f"p{number}"], "answer": [number * 8]}
        client.channel.close()


def test_a_missing_listener_and_a_raised_exception_are_told_in_kaggles_words() -> None:
    def predict(id_: Any, question: Any) -> Any:
        raise RuntimeError("out of memory")

    with InferenceServer(predict, port=0) as server:
        client = kaggle_fixtures.Client(server.port)
        with pytest.raises(grpc.RpcError) as unheard:
            client.send(kaggle_fixtures.request("train"), timeout=10)
        assert unheard.value.details() == "Exception calling application: No listener for train was registered."
        with pytest.raises(grpc.RpcError) as raised:
            client.predict("a", "b")
        assert raised.value.details() == "Exception calling application: out of memory"
        assert raised.value.code() == grpc.StatusCode.UNKNOWN
        client.channel.close()


def test_a_long_exception_is_never_taken_for_a_broken_connection() -> None:
    def predict(id_: Any, question: Any) -> Any:
        raise RuntimeError("²" * 30_000)

    with InferenceServer(predict, port=0) as server:
        client = kaggle_fixtures.Client(server.port)
        for _ in range(20):
            with pytest.raises(grpc.RpcError, match="Exception calling application: ²²") as raised:
                client.predict("a", "b")
            assert raised.value.code() == grpc.StatusCode.UNKNOWN
        client.channel.close()


def test_a_listener_needs_a_name_and_a_port_has_one_server() -> None:
    with pytest.raises(UserError, match="def predict"):
        InferenceServer(lambda id_, question: None)
    with InferenceServer(predictor(add), port=0) as server, pytest.raises(UserError, match=r"gateway\.port"):
        InferenceServer(predictor(add), port=server.port).__enter__()


def test_both_lines_carry_the_same_values_and_refuse_the_same() -> None:
    def echo(value: Any) -> Any:
        return {1} if value == "a set" else (value, "heard")

    with InferenceServer(echo, port=0) as server, GrpcClient("localhost", server.port, startup_s=5) as wire:
        for line in (wire, InProcessClient(echo)):
            assert line.call("echo", [1, None, 0.1], limit_s=10) == ([1, None, pytest.approx(0.1, abs=1e-7)], "heard")
            assert line.call("echo", 0.1, limit_s=10)[0] != 0.1  # 32 bits, also in the same process
            with pytest.raises(TypeError):
                line.call("echo", object(), limit_s=10)
            with pytest.raises(Failure, match="payload") as refused:
                line.call("echo", "a set", limit_s=10)
            assert refused.value.name == ErrorName.SERVER_RAISED_EXCEPTION
            with pytest.raises(Failure) as unheard:
                line.call("predict", limit_s=10)
            assert unheard.value.name == ErrorName.SERVER_MISSING_ENDPOINT
