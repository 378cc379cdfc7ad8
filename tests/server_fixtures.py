"""A server that speaks vLLM's wire and misbehaves as it is told, and the engine that asks it. No model server is needed."""

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from components.lib.engine.backends import BackendName
from components.lib.engine.protocol import Completion, Sampling
from components.lib.engine.server import ServerEngine
from components.lib.engine.server_config import ServerHost, ServerSettings

PLAIN = Sampling(1.0, 1.0, 0, 0.0, 24, ())


def engine(
    model: Path, *urls: str, env: str = ".envs/none", backend: BackendName = "vllm", silence_s: float = 20.0, retry_s: float = 0.2,
    max_model_len: int = 64, step_s: float | None = 0.02,
) -> ServerEngine:  # fmt: skip
    settings = ServerSettings(
        backend=backend, dtype="float32", max_model_len=max_model_len, tensor_parallel_size=1, flags=[],
        extra_body={}, chat_template_kwargs={}, step_s=step_s,
    )  # fmt: skip
    host = ServerHost(
        urls=list(urls), env=env, replicas=1, gpu_memory_utilization=None, max_num_seqs=4, startup_s=20.0, silence_s=silence_s,
        retry_s=retry_s,
    )  # fmt: skip
    return ServerEngine(settings, host, model)


def piece(text: str, finish: str | None = None, tokens: int | None = None, **more: object) -> str:
    event = {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}
    return "data: " + json.dumps(event | ({"usage": {"completion_tokens": tokens}} if tokens else {}))


class Fault(NamedTuple):
    """What one request meets instead: these lines, and the end; `silent`: nothing more comes; `reset`: the connection is torn."""

    stream: Sequence[str] = ()
    status: int = 200
    silent: bool = False
    reset: bool = False


class Fake:
    """A server that answers every completion with the same lines and then hangs up; `endless`: goes on until the client does;
    `key`: what a client must show, or be refused, with the wrong one quoted; `faults`: what the first requests meet."""

    def __init__(
        self, stream: Sequence[str], status: int = 200, models: Sequence[str] = ("micro",), endless: bool = False, key: str | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:  # fmt: skip
        self.stream, self.status, self.models, self.endless, self.key = stream, status, models, endless, key
        self.heads: list[str] = []
        self.asked: list[dict[str, object]] = []
        self.left_by_client = asyncio.Event()
        self._faults = list(faults)

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said, code = [json.dumps({"data": [{"id": name} for name in self.models]})], 200 if "/v1/models" in head else 404
        if head.startswith("POST"):
            length = int(next(line for line in head.splitlines() if line.lower().startswith("content-length")).split(":")[1])
            self.asked.append(json.loads(await reader.readexactly(length)))
            said, code = list(self.stream), self.status
            if self._faults:
                await self._fail(self._faults.pop(0), writer)
                return
        self.heads.append(head)
        if self.key and f"authorization: bearer {self.key}\r\n" not in head.lower():
            said, code = [f"wrong key: {head}"], 401
        writer.write(f"HTTP/1.1 {code} x\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n".encode())
        for line in said:
            writer.write(f"{line}\n\n".encode())
        while head.startswith("POST") and self.endless and not reader.at_eof():
            writer.write(f"{piece('never read', tokens=999)}\n\n".encode())
            await asyncio.sleep(0.005)
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.005)
        self.left_by_client.set()
        writer.close()

    async def _fail(self, fault: Fault, writer: asyncio.StreamWriter) -> None:
        if fault.reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            writer.write(f"HTTP/1.1 {fault.status} x\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n".encode())
            writer.write("".join(f"{line}\n\n" for line in fault.stream).encode())
            await writer.drain()
        if not fault.silent:
            writer.close()


async def said(opened: ServerEngine, sampling: Sampling = PLAIN, key: str = "p/1/0", seed: int = 1) -> Completion:
    """As text; which ids it is made of is asked in test_tokens.py."""
    return (await opened.complete(opened.encode("abc"), sampling, key=key, seed=seed))._replace(ids=())
