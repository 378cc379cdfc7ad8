"""One forked session process as the caller sees it: a socket to it, and what the zygote reports of it.

Covered: frames out of a hostile process, bounded and checked in shape; waiting for them without losing a byte. Not covered: what a
frame means (local.py) and when time is up (zygote.py).
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from components.lib.sandbox import wire


class ExitStatus(NamedTuple):
    """How a process ended: its exit code (negative: a signal), and why the zygote killed it, if it did."""

    code: int
    why: str


class SessionProcess:
    """The caller's end of one session process."""

    def __init__(self, number: int, sock: socket.socket, longest_frame: int) -> None:
        self.number = number
        self._loop = asyncio.get_running_loop()
        self.died: asyncio.Future[ExitStatus] = self._loop.create_future()
        self.stopped: asyncio.Future[bool] = self._loop.create_future()
        """The zygote's answer to a `stop` that asks for one: whether the cell was interrupted."""
        self.handle: int | None = None
        """A descriptor of the process, where the kernel has such: to signal it without the zygote."""
        self._sock, self._longest = sock, longest_frame
        self._bytes, self._ended, self._news = bytearray(), False, asyncio.Event()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._read)

    async def ask(self, message: dict[str, Any], wake: Callable[[], None]) -> dict[str, Any] | None:
        """Sends one to the stopped process, wakes it, and returns the frame that answers. Raises OSError where nobody listens."""
        frame = wire.pack(message)
        with contextlib.suppress(BlockingIOError):
            frame = frame[self._sock.send(frame) :]  # before it wakes, so that it finds it; what is left of a large one when it reads
        wake()
        if frame:
            await self._loop.sock_sendall(self._sock, frame)
        return await self.frame()

    async def frame(self) -> dict[str, Any] | None:
        """The one frame that is due; None where the process ended, or sent anything else."""
        while True:
            size = wire.HEADER.size + (wire.HEADER.unpack_from(self._bytes)[0] if len(self._bytes) >= wire.HEADER.size else 0)
            if size > self._longest or len(self._bytes) > size > wire.HEADER.size:
                return None
            if len(self._bytes) == size > wire.HEADER.size:
                body, self._bytes = self._bytes[wire.HEADER.size :], bytearray()
                return _object(body)
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()

    def quiet(self) -> bool:
        """Whether the process is there and has said nothing unasked."""
        if not self._ended:
            self._read()
        return not self._ended and not self._bytes

    def set_exited(self, death: ExitStatus) -> None:
        """The zygote's last word on it: nothing more will come."""
        if not self.died.done():
            self.died.set_result(death)
        self.close()

    def close(self) -> None:
        while not self._ended and self._read():
            pass
        self._end()
        self._sock.close()
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def _read(self) -> bool:
        try:
            piece = self._sock.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        self._bytes += piece
        if not piece or len(self._bytes) > self._longest:
            self._end()
        self._news.set()
        return True

    def _end(self) -> None:
        if not self._ended:
            self._loop.remove_reader(self._sock)
        self._ended = True
        self._news.set()


def _object(body: bytes | bytearray) -> dict[str, Any] | None:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
