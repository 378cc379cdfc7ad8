"""Any OpenAI-compatible server: one we start (vLLM, from its own environment) or one that runs elsewhere.

Reads the model folder for its chat template and to count a prompt's tokens; the server reads the weights. Each completion is one streamed
request to /v1/completions; closing the stream is the cancellation (vLLM frees the slot within a second). Servers agree on most
fields; where they do not, backends.py says how each spells it. A server that dies or breaks off is an EngineError, never a short text.

With `step_s` the clock counts tokens: each one that arrives moves it by step_s over the number of open requests, as if all decoded in
step, on however many servers with however many slots. Several share the requests, each going where fewest are open; what a server that
died had begun is asked anew elsewhere.
A running server may ask for a key: that of the environment's OPENAI_API_KEY, which stands in no file, no error and no record.
Seeds make each completion's tokens repeatable (checked on vLLM's CPU backend in float32; elsewhere best effort), but not which of
two finishes first: early stops and deadlines may fall differently in two runs.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from components.core.errors import UserError
from components.core.machine import LOCAL, redact_url
from components.core.params import Settings
from components.core.types import Message
from components.lib import checkpoint, references
from components.lib.engine.backends import BACKENDS, BackendName, StreamedReply, request_body
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, EngineError, Progress, Sampling
from components.lib.engine.server_process import ServerProcess, devices
from components.lib.engine.tokens import Tokens

log = logging.getLogger(__name__)
API_KEY = "OPENAI_API_KEY"
"""The variable of the environment that holds the key of running servers, as OpenAI's own clients call it."""


class ServerSettings(Settings):
    """What a server computes; where it does is ServerHost's."""

    backend: BackendName
    dtype: str
    max_model_len: int
    tensor_parallel_size: int = Field(gt=0)
    """GPUs that share the weights: their partial sums add up in another order."""
    flags: list[str]
    """Further flags of the server, as they are: [--kv-cache-dtype, fp8], a draft model."""
    extra_body: dict[str, Any]
    """Further fields of each request, as they are: {skip_special_tokens: false}."""
    chat_template_kwargs: dict[str, Any]
    """Arguments of the model's chat template: {reasoning_effort: high}."""
    step_s: float | None


class ServerHost(Settings):
    """Where servers run, or how those that are started here share this machine."""

    urls: list[str]
    """Of running servers (["http://host:8000"]); empty: start vLLM from `env`, and stop it at the end."""
    env: str
    replicas: int = Field(gt=0)
    """Servers that are started for one model, each on GPUs of its own, and share the requests."""
    gpu_memory_utilization: float | None = Field(gt=0, le=1)
    """Share of a GPU's memory; null: vLLM's own default."""
    max_num_seqs: int = Field(gt=0)
    """Requests that one server decodes at once; more wait."""
    startup_s: float
    """Seconds to become ready in, and the longest silence of a stream."""


class ServerLost(Exception):
    """One server failed in a way that another one may not."""


class Endpoint:
    """One server that answers: its client, and how many requests are open there."""

    def __init__(self, url: str, client: Any, process: ServerProcess | None) -> None:
        self.url, self.client = redact_url(url), client
        self.process = process
        """Where it is one of ours."""
        self.model = ""
        """What it calls the model."""
        self.open = 0


class ServerEngine:
    """Continues prompts through one or more servers."""

    def __init__(self, settings: ServerSettings, host: ServerHost, model: Path) -> None:
        reference = references.of(model)
        self._served = reference and reference.served_model_name
        """What running servers must call the model; None: any that holds one."""
        if not self._served:
            checkpoint.check(model)
        if not host.urls and settings.backend != "vllm":
            raise UserError(f"{LOCAL}: engines.server.urls: only vllm is started here; name the {settings.backend} server's address")
        self._settings, self._host, self._folder, self._backend = settings, host, model, BACKENDS[settings.backend]
        self.name = f"{settings.backend} server, {model}"
        self.step_s = settings.step_s
        self._clock, self._alive, self._open = 0.0, list[Endpoint](), 0
        self._losses: list[str] = []
        """What each server that failed was last heard of."""

    async def __aenter__(self) -> Self:
        self._chat = ChatTokenizer.load(self._folder, self._settings.chat_template_kwargs)
        async with AsyncExitStack() as undo:
            self._ours = [] if self._host.urls else [await self._start(undo, number) for number in range(self._host.replicas)]
            for process in self._ours:
                await process.ready(self._host.startup_s)
                self._alive.append(await self._reach(process.url, process, undo))
            for url in self._host.urls:
                self._alive.append(await self._reach(url, None, undo))
            await self._introduce()
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    def announce(self) -> AbstractContextManager[None]:
        """A server batches whatever is there: nothing waits for anyone."""
        return nullcontext()

    async def turn(self, key: str) -> None:
        pass

    def render(self, messages: Sequence[Message], arguments: Mapping[str, Any] = NO_ARGUMENTS) -> Tokens:
        return self._chat.prompt(messages, arguments)

    def encode(self, text: str) -> Tokens:
        return self._chat.encode(text)

    async def complete(self, prompt: Tokens, sampling: Sampling, *, key: str, seed: int, progress: Progress | None = None) -> Completion:
        asked = self._body(prompt, sampling, key, seed)
        while self._alive:
            address = min(self._alive, key=lambda address: address.open)
            try:
                return await self._stream(address, asked | {"model": address.model}, sampling, key, progress)
            except ServerLost as error:
                if address in self._alive:  # else another request found it dead
                    self._alive.remove(address)
                    self._losses.append(str(error))
                    log.warning("%s; %d of %d servers are left", error, len(self._alive), len(self._losses) + len(self._alive))
        raise EngineError("\n".join([f"{self.name}: {key}: no server is left", *self._losses]))

    async def _stream(
        self, address: Endpoint, asked: dict[str, Any], sampling: Sampling, key: str, progress: Progress | None
    ) -> Completion:
        import httpx

        reply = StreamedReply()
        self._open, address.open = self._open + 1, address.open + 1
        try:
            async with address.client.stream("POST", "/v1/completions", json=asked) as response:
                if not response.is_success:
                    said = (await response.aread()).decode(errors="replace")[:1000]
                    kind = ServerLost if response.status_code >= 500 else EngineError  # 4xx: another server would refuse it too
                    raise kind(await self._lost(address, f"{key}: refused with {response.status_code}: {said}"))
                async for line in _lines(response.aiter_bytes()):
                    before = reply.num_tokens
                    reply.take(line, self._backend, sampling)
                    self._tick(reply.num_tokens - before)
                    if progress is not None:
                        progress(reply.text, reply.num_tokens)
                    if reply.error or reply.finish_reason == "stop_condition" or (reply.finish_reason and self._backend.keep_stop is None):
                        break
        except (httpx.TransportError, json.JSONDecodeError) as error:
            raise ServerLost(await self._lost(address, f"{key}: {type(error).__name__}: {error}")) from error
        finally:
            self._open, address.open = self._open - 1, address.open - 1
        if reply.error or reply.finish_reason not in ("stop", "length", "stop_condition"):
            raise ServerLost(await self._lost(address, f"{key}: the stream broke off: {reply.error or reply.finish_reason}"))
        completion = reply.completion(sampling.stop)
        ended_turn = completion.finish_reason == "stop" and completion.stop_reason is None
        drawn, hidden = reply.ids[: -1 if ended_turn else None], bool(self._settings.extra_body.get("skip_special_tokens", True))
        return completion._replace(ids=self._chat.cut(drawn, completion.text, skip_special_tokens=hidden))

    def now(self) -> float:
        return time.monotonic() if self.step_s is None else self._clock

    async def _start(self, undo: AsyncExitStack, number: int) -> ServerProcess:
        settings, host = self._settings, self._host
        share = [] if host.gpu_memory_utilization is None else ["--gpu-memory-utilization", str(host.gpu_memory_utilization)]
        process = await ServerProcess.start(
            "vllm", Path(host.env), self._folder,
            ["--served-model-name", str(self._folder), "--dtype", settings.dtype, "--max-model-len", str(settings.max_model_len),
             "--tensor-parallel-size", str(settings.tensor_parallel_size), *share, "--max-num-seqs", str(host.max_num_seqs),
             "--disable-uvicorn-access-log", *settings.flags],
            devices(number, settings.tensor_parallel_size) if host.replicas > 1 else {},
        )  # fmt: skip
        undo.push_async_callback(process.stop)
        return process

    async def _reach(self, url: str, process: ServerProcess | None, undo: AsyncExitStack) -> Endpoint:
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # a kept connection may be closed under a new request
        timeout = httpx.Timeout(self._host.startup_s)
        headers = {"Authorization": f"Bearer {_key()}"} if process is None and _key() else {}
        client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=timeout, trust_env=process is None)
        return Endpoint(url, await undo.enter_async_context(client), process)

    async def _introduce(self) -> None:
        """Asks each server what it serves, and how long a context."""
        import httpx

        contexts = []
        for address in self._alive:
            try:
                answer = (await address.client.get("/v1/models")).raise_for_status().json()["data"]
                version = await address.client.get("/version")
            except httpx.HTTPStatusError as error:  # its own words name the address with its password
                refused = error.response.status_code in (401, 403)
                cure = f"; set {API_KEY} in the environment to a key that it takes" if refused else ""
                raise EngineError(await self._lost(address, f"/v1/models: refused with {error.response.status_code}{cure}")) from None
            except (httpx.HTTPError, ValueError, KeyError) as error:
                raise EngineError(await self._lost(address, f"/v1/models: {type(error).__name__}: {error}")) from error
            served = {model["id"]: model for model in answer}
            wanted = (self._served,) if self._served else (str(self._folder), self._folder.name)
            named = [name for name in wanted if name in served]
            if not named and (self._served or len(served) != 1):
                where = f"{LOCAL}: engines.servers.{self._folder.name}.urls" if self._served else f"{LOCAL}: engines.server.urls"
                raise UserError(f"{where}: {address.url} serves {', '.join(served)}, none named {wanted[-1]}")
            address.model = [*named, *served][0]
            contexts.append(served[address.model].get("max_model_len") or self._settings.max_model_len)
            if version.is_success:
                self.name = f"{self._settings.backend} {version.json().get('version', '')} server, {self._folder}"
        self._context = min(contexts)

    def _body(self, prompt: Tokens, sampling: Sampling, key: str, seed: int) -> dict[str, Any]:
        """The request. Raises EngineError where the prompt leaves no room, and asks for no more tokens than fit."""
        room = self._context - len(prompt.ids)
        if room <= 0:
            raise EngineError(
                f"{self.name}: {key}: the prompt has {len(prompt.ids)} tokens, the server's context {self._context}; "
                "lower max_tokens or the sandbox's output_chars, or raise engines.server.max_model_len"
            )
        sampling = sampling._replace(max_tokens=min(sampling.max_tokens, room))
        given = list(prompt.ids) if self._backend.takes_ids else self._chat.bare(prompt.text)
        end = {"stop_token_ids": self._chat.end_of_turn.ids[-1:]}  # the template's, whatever generation_config.json says
        return request_body(self._backend, given, sampling, seed) | end | self._settings.extra_body

    def _tick(self, num_tokens: int) -> None:
        self._clock += num_tokens * (self.step_s or 0.0) / max(1, self._open)

    async def _lost(self, address: Endpoint, what: str) -> str:
        """The words for a server that failed: ours says how it died, another's address is named."""
        if address.process is None:
            return f"{self.name} at {address.url}: {what.replace(_key(), '***') if _key() else what}"
        await asyncio.sleep(1.0)  # a dying process needs a moment to be seen dead, and to write why
        return f"{self.name}: {what}; {address.process.status()}"


def _key() -> str:
    """What running servers are shown; "" where the environment holds none. Raises UserError where it cannot be sent."""
    key = os.environ.get(API_KEY, "").strip()
    if not (key.isascii() and all(map(str.isprintable, key))):
        raise UserError(f"{API_KEY}: holds characters that no key has; set it in the environment again")
    return key


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines that end with a line feed and nothing else: a model may write other line separators, which JSON leaves as they are."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode().rstrip("\r")
    yield rest.decode()
