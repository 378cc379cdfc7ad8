"""Frames between the caller and a session: four bytes of length, then JSON.

Both ends share this file: the caller imports it, the zygote finds it next to itself. Standard library only. Does not know what a
frame says; the caller's end checks that, because whatever comes out of a session was written by hostile code.
"""

import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("!I")


def pack(message: dict[str, Any]) -> bytes:
    """One frame. Plain ASCII, so that lone surrogates pass."""
    body = json.dumps(message).encode("ascii")
    return HEADER.pack(len(body)) + body


def receive(sock: socket.socket) -> dict[str, Any]:
    """The next frame of a blocking socket; raises EOFError where the other end is closed."""
    (length,) = HEADER.unpack(_exactly(sock, HEADER.size))
    return dict(json.loads(_exactly(sock, length)))


def _exactly(sock: socket.socket, length: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < length:
        piece = sock.recv(min(length - len(pieces), 1 << 20))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)
