"""The gateway's end of a call: over gRPC, or in this process. Both send the same bytes, so that both keep the same payload rules.

A call that fails is a Failure with Kaggle's name for it.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from components.lib.kaggle.failure import NEVER_STARTED, RAISED, broken_call, late
from components.lib.kaggle.messages import METHOD, SERVICE, messages
from components.lib.kaggle.payload import pack, unpack
from components.lib.kaggle.server import OPTIONS, Listener, by_name, respond

POLL_S = 1.0
"""Between two tries to reach a server that is not up yet."""
RETRY = {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}


class Client(Protocol):
    """A way to call a listener."""

    def call(self, name: str, *args: Any, limit_s: float) -> Any:
        """What the listener of this name returns; raises Failure."""
        ...


class InProcessClient:
    """Listeners in this process. Nothing ends a call that takes too long: the gateway looks at its clock afterwards."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = by_name(*listeners)

    def call(self, name: str, *args: Any, limit_s: float) -> Any:
        sent = _request(name, args)
        try:
            received = respond(self._listeners, sent)
        except Exception as error:  # the listener is somebody's code: whatever it raises is data for the gateway
            raise broken_call(f"{RAISED}: {error}") from error
        return _value(received)


class GrpcClient:
    """A server at host and port: `with GrpcClient(host, port, startup_s=900) as client: client.call(...)`."""

    def __init__(self, host: str, port: int, startup_s: float) -> None:
        """`startup_s`: how long the server may take to be reached for the first time."""
        self._host, self._port, self._startup_s = host, port, startup_s
        self._reached = False

    def __enter__(self) -> Self:
        import grpc

        retry = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": RETRY}]})
        ours = [("grpc.service_config", retry), ("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 1000)]
        long_errors = ("grpc.max_metadata_size", 1 << 20)  # else a long exception of a server is now and then RESOURCE_EXHAUSTED
        self._channel = grpc.insecure_channel(f"{self._host}:{self._port}", options=[*OPTIONS, *ours, long_errors])
        self._send: Callable[..., bytes] = self._channel.unary_unary(f"/{SERVICE}/{METHOD}")
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, name: str, *args: Any, limit_s: float) -> Any:
        import grpc

        sent, began = _request(name, args), time.monotonic()
        while True:
            try:
                received = self._send(sent, timeout=limit_s)
                break
            except grpc.RpcError as error:
                if self._reached or error.code() != grpc.StatusCode.UNAVAILABLE:
                    self._reached = True
                    raise late(limit_s) if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED else broken_call(_told(error)) from None
            self._wait_for_server(began)
        self._reached = True
        return _value(received)

    def _wait_for_server(self, began: float) -> None:
        """A moment before the next try; raises Failure where the host does not exist or had its time."""
        left = self._startup_s - (time.monotonic() - began)
        try:
            socket.gethostbyname(self._host)
        except socket.gaierror as error:
            raise broken_call(f"{NEVER_STARTED}: no host {self._host} ({error})") from None
        if left <= 0:
            raise broken_call(f"{NEVER_STARTED} {self._startup_s:g} seconds")
        time.sleep(min(POLL_S, left))


def _told(error: Any) -> str:
    return f"{error.code().name}: {error.details()}"


def _request(name: str, args: tuple[Any, ...]) -> bytes:
    return bytes(messages().Request(name=name, args=[pack(value) for value in args]).SerializeToString())


def _value(received: bytes) -> Any:
    return unpack(messages().Response.FromString(received).payload)
