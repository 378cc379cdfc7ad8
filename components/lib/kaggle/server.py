"""The inference server: the solver's end. It answers one call at a time with the listener of the call's name.

The gateway alone decides what is asked and when; the server knows nothing of problems, clocks or scores.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

from components.core.errors import UserError
from components.core.machine import LOCAL
from components.lib.kaggle.failure import NO_LISTENER
from components.lib.kaggle.messages import METHOD, SERVICE, messages
from components.lib.kaggle.payload import pack, unpack

PORT = 50051
MAX_ERROR_CHARS = 600
"""Characters of an exception that reach the gateway. gRPC carries them as a header, percent-encoded (up to twelve bytes each), and
beyond 8 KB it drops the response, at first only now and then: a long message would look like a broken connection."""
OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
)
"""What both ends of Kaggle's own code set: messages of any size, a ping a minute."""
Listener = Callable[..., Any]


def rerun() -> bool:
    """Whether this is the scored run, in which Kaggle's gateway is another machine."""
    return bool(os.environ.get("KAGGLE_IS_COMPETITION_RERUN"))


def by_name(*listeners: Listener) -> dict[str, Listener]:
    """The listeners by the name that a gateway calls them by; a lambda has none."""
    for listener in listeners:
        if not getattr(listener, "__name__", "").isidentifier():
            raise UserError(
                f"{listener!r} cannot be a listener: the gateway calls it by its name, so write `def predict(id_, question): …`"
            )
    return {listener.__name__: listener for listener in listeners}


def respond(listeners: Mapping[str, Listener], sent: bytes) -> bytes:
    """One call: request bytes to response bytes. What the listener raises, rises."""
    request = messages().Request.FromString(sent)
    if request.name not in listeners:
        raise NotImplementedError(f"{NO_LISTENER} {request.name} was registered.")
    given = {key: unpack(value) for key, value in request.kwargs.items()}
    answered = listeners[request.name](*(unpack(value) for value in request.args), **given)
    return bytes(messages().Response(payload=pack(answered)).SerializeToString())


class InferenceServer:
    """Listeners behind a port: `with InferenceServer(predict) as server: server.wait()`."""

    def __init__(self, *listeners: Listener, port: int = PORT) -> None:
        """`port` 0: any free one. In the scored run every address is listened on, else only this machine's own."""
        self.listeners, self.port = by_name(*listeners), port

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        handler = grpc.unary_unary_rpc_method_handler(self._send)
        options = [*OPTIONS, ("grpc.so_reuseport", 0)]  # else two servers would share a port and each get half of the questions
        self._desk = ThreadPoolExecutor(max_workers=1)
        self._server = grpc.server(self._desk, options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        try:
            self.port = self._server.add_insecure_port(f"{'[::]' if rerun() else '127.0.0.1'}:{self.port}")
        except RuntimeError as error:
            raise UserError(
                f"port {self.port} cannot be listened on ({error}); end what uses it, or set another gateway.port in {LOCAL}"
            ) from None
        self._server.start()
        return self

    def _send(self, sent: bytes, _: Any) -> bytes:
        """gRPC itself tells the caller what is raised here, as "Exception calling application: …", and logs it."""
        try:
            return respond(self.listeners, sent)
        except Exception as error:
            if len(str(error)) <= MAX_ERROR_CHARS:
                raise
            raise RuntimeError(str(error)[:MAX_ERROR_CHARS]) from error

    def wait(self) -> None:
        """Blocks until the server ends."""
        self._server.wait_for_termination()

    def __exit__(self, *_: object) -> None:
        """Returns when the call that is being answered, if any, has ended: its listener may still hold what the caller closes next."""
        self._server.stop(grace=None).wait()
        self._desk.shutdown()
