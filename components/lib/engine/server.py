"""Any OpenAI-compatible server: one we start (vLLM, from its own environment) or one that runs elsewhere.

Reads the model folder for its chat template and to count a prompt's tokens; the server reads the weights. Each completion is one streamed
request to /v1/completions; closing the stream is the cancellation (vLLM frees the slot within a second). Servers agree on most
fields; where they do not, backends.py says how each spells it.

What fails is asked again: at another server at once, at the same one after a pause, from where it broke off if the ids of what had arrived
are known. One of our own servers that died is started again. What no server answers for `retry_s` is an EngineError, never a short text; a
text that the context has no room for ends by length.

With `step_s` the clock counts tokens: each one that arrives moves it by step_s over the number of open requests, as if all decoded in
step, on however many servers with however many slots. Several share the requests, each going where fewest are open.
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

from components.core import hardware
from components.core.errors import UserError
from components.core.machine import LOCAL
from components.core.types import Message
from components.lib import checkpoint, references
from components.lib.engine import placement
from components.lib.engine.backends import BACKENDS, StreamedReply, request_body
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.endpoint import Endpoint, ServerLost
from components.lib.engine.placement import Placement
from components.lib.engine.protocol import NO_ARGUMENTS, Completion, EngineError, Progress, Sampling
from components.lib.engine.server_config import ServerHost, ServerSettings, vllm_arguments
from components.lib.engine.server_process import ServerProcess, devices
from components.lib.engine.tokens import Tokens

log = logging.getLogger(__name__)
API_KEY = "OPENAI_API_KEY"
"""The variable of the environment that holds the key of running servers, as OpenAI's own clients call it."""
MAX_RESTARTS = 3
"""So many servers of ours may die under one request before it is taken for the cause."""
CONNECT_S = 30.0
TRANSIENT = (408, 425, 429)
"""Refusals that may be none a moment later, as all from 500 on."""


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
        self._clock, self._endpoints, self._open = 0.0, list[Endpoint](), 0
        self._restarting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else it writes a line for each request
        self._chat = ChatTokenizer.load(self._folder, self._settings.chat_template_kwargs)
        async with AsyncExitStack() as undo:
            self._undo = undo
            self._placed = None if self._host.urls else self._place()
            for number in range(self._placed.replicas if self._placed else 0):
                self._endpoints.append(await self._start(number))
            for url in self._host.urls:
                self._endpoints.append(await self._reach(url))
            for endpoint in self._endpoints:
                await endpoint.ready(self._host.startup_s)
            await self._introduce()
            if self._placed and self._placed != (1, 1):
                self.name += f", {self._placed}"
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
        reply, since, deaths = StreamedReply(), None, 0
        while True:
            endpoint = await self._next(key, since)
            try:
                return await self._stream(endpoint, prompt, reply, sampling, key, seed, progress)
            except ServerLost as error:
                since = since or time.monotonic()
                if endpoint.failed(str(error)):
                    log.warning("%s; it is asked again", error)
                if endpoint.process is not None and endpoint.process.ended:
                    deaths, since = deaths + 1, None
                    if deaths > MAX_RESTARTS:
                        raise EngineError(f"{error}\n{key}: {deaths} servers have died under it") from None
                    await self._restart(endpoint)
                kept = self._chat.cut(reply.ids, reply.text, skip_special_tokens=self._hides_special) if reply.ids else ()
                reply.break_off(kept)

    async def _next(self, key: str, since: float | None) -> Endpoint:
        """The server to ask: none that rests, a started one before one that is starting, where fewest are open.

        Raises EngineError where the request has failed `since` too long ago.
        """
        while since is None or time.monotonic() - since < self._host.retry_s:
            now = time.monotonic()
            awake = [endpoint for endpoint in self._endpoints if endpoint.rests_until <= now]
            if awake:
                endpoint = min(awake, key=lambda endpoint: (endpoint.starting, endpoint.open))
                await endpoint.ready(self._host.startup_s)
                return endpoint
            await asyncio.sleep(min(endpoint.rests_until for endpoint in self._endpoints) - now)
        limit = f"{self._host.retry_s:g} s ({LOCAL}: engines.server.retry_s)"
        failures = [endpoint.failure for endpoint in self._endpoints if endpoint.failure]
        raise EngineError("\n".join([f"{self.name}: {key}: no server answered it within {limit}; the last failures:", *failures]))

    async def _restart(self, dead: Endpoint) -> None:
        """Puts a new server in the place of one of ours that died, once for all whom it was answering."""
        async with self._restarting:
            if dead in self._endpoints and dead.process is not None:
                await dead.process.stop()  # what it leaves behind may hold the GPU
                place = self._endpoints.index(dead)
                started = await self._start(place)
                started.model, started.failure = dead.model, dead.failure
                self._endpoints[place] = started

    async def _stream(
        self, endpoint: Endpoint, prompt: Tokens, reply: StreamedReply, sampling: Sampling, key: str, seed: int, progress: Progress | None
    ) -> Completion:
        import httpx

        asked = self._body(prompt, reply, sampling, key, seed)
        if asked is None:
            return reply.ended_by_length()
        self._open, endpoint.open = self._open + 1, endpoint.open + 1
        try:
            async with endpoint.client.stream("POST", "/v1/completions", json=asked | {"model": endpoint.model}) as response:
                if not response.is_success:
                    said = (await response.aread()).decode(errors="replace")[:1000]
                    if response.status_code == 400 and "context length" in said:  # its own count of what we counted, too
                        log.warning("%s: %s: ends by length: %s", self.name, key, said)
                        return reply.ended_by_length()
                    kind = ServerLost if response.status_code >= 500 or response.status_code in TRANSIENT else EngineError
                    raise kind(await self._lost(endpoint, f"{key}: refused with {response.status_code}: {said}"))
                async for line in _lines(response.aiter_bytes()):
                    before = reply.num_tokens
                    reply.take(line, self._backend, sampling)
                    self._tick(reply.num_tokens - before)
                    if progress is not None:
                        progress(reply.text, reply.num_tokens)
                    if reply.error or reply.finish_reason == "stop_condition" or (reply.finish_reason and self._backend.keep_stop is None):
                        break
        except (httpx.TransportError, json.JSONDecodeError) as error:
            raise ServerLost(await self._lost(endpoint, f"{key}: {type(error).__name__}: {error}")) from error
        finally:
            self._open, endpoint.open = self._open - 1, endpoint.open - 1
        if reply.error or reply.finish_reason not in ("stop", "length", "stop_condition"):
            raise ServerLost(await self._lost(endpoint, f"{key}: the stream broke off: {reply.error or reply.finish_reason}"))
        endpoint.answered()
        completion = reply.completion(sampling.stop)
        ended_turn = completion.finish_reason == "stop" and completion.stop_reason is None
        drawn = reply.ids[: -1 if ended_turn else None]
        return completion._replace(ids=self._chat.cut(drawn, completion.text, skip_special_tokens=self._hides_special))

    @property
    def _hides_special(self) -> bool:
        """Whether a server's text leaves special tokens out."""
        return bool(self._settings.extra_body.get("skip_special_tokens", True))

    def now(self) -> float:
        return asyncio.get_running_loop().time() if self.step_s is None else self._clock

    def _place(self) -> Placement:
        settings, host = self._settings, self._host
        size = placement.footprint(self._folder, settings.dtype, tuple(settings.flags))
        return placement.place(size, hardware.gpus(), settings.tensor_parallel_size, host.replicas, host.gpu_memory_utilization)

    async def _start(self, number: int) -> Endpoint:
        """A server of ours, which is not ready yet."""
        assert self._placed
        degree = self._placed.tensor_parallel_size
        process = await ServerProcess.start(
            "vllm", Path(self._host.env), self._folder,
            ["--served-model-name", str(self._folder), *vllm_arguments(self._settings, self._host, degree)],
            devices(number, degree) if self._placed.replicas > 1 else {},
        )  # fmt: skip
        self._undo.push_async_callback(process.stop)
        return await self._reach(process.url, process)

    async def _reach(self, url: str, process: ServerProcess | None = None) -> Endpoint:
        import httpx

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # a kept connection may be closed under a new request
        timeout = httpx.Timeout(self._host.silence_s, connect=min(CONNECT_S, self._host.silence_s))
        headers = {"Authorization": f"Bearer {_key()}"} if process is None and _key() else {}
        client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=timeout, trust_env=process is None)
        return Endpoint(url, await self._undo.enter_async_context(client), process)

    async def _introduce(self) -> None:
        """Asks each server what it serves, and how long a context."""
        import httpx

        contexts = []
        for endpoint in self._endpoints:
            try:
                answer = (await endpoint.client.get("/v1/models")).raise_for_status().json()["data"]
                version = await endpoint.client.get("/version")
            except httpx.HTTPStatusError as error:  # its own words name the address with its password
                refused = error.response.status_code in (401, 403)
                cure = f"; set {API_KEY} in the environment to a key that it takes" if refused else ""
                raise EngineError(await self._lost(endpoint, f"/v1/models: refused with {error.response.status_code}{cure}")) from None
            except (httpx.HTTPError, ValueError, KeyError) as error:
                raise EngineError(await self._lost(endpoint, f"/v1/models: {type(error).__name__}: {error}")) from error
            served = {model["id"]: model for model in answer}
            wanted = (self._served,) if self._served else (str(self._folder), self._folder.name)
            named = [name for name in wanted if name in served]
            if not named and (self._served or len(served) != 1):
                where = f"{LOCAL}: engines.servers.{self._folder.name}.urls" if self._served else f"{LOCAL}: engines.server.urls"
                raise UserError(f"{where}: {endpoint.url} serves {', '.join(served)}, none named {wanted[-1]}")
            endpoint.model = [*named, *served][0]
            contexts.append(served[endpoint.model].get("max_model_len") or self._settings.max_model_len)
            if version.is_success:
                self.name = f"{self._settings.backend} {version.json().get('version', '')} server, {self._folder}"
        self._context = min(contexts)

    def _body(self, prompt: Tokens, reply: StreamedReply, sampling: Sampling, key: str, seed: int) -> dict[str, Any] | None:
        """The request for what is still to come, for no more tokens than fit; None where no more may come."""
        ids = [*prompt.ids, *reply.ids]
        room = self._context - len(ids)
        if room <= 0:
            log.warning(
                "%s: %s: ends by length: its text has %d tokens, the server's context %d; raise engines.server.max_model_len, "
                "or lower max_tokens or sandbox.output_chars", self.name, key, len(ids), self._context,
            )  # fmt: skip
        left = min(sampling.max_tokens - reply.num_tokens, room)
        if left <= 0:
            return None
        sampling = sampling._replace(max_tokens=left)
        given = ids if self._backend.takes_ids else self._chat.bare(prompt.text)
        end = {"stop_token_ids": self._chat.end_of_turn.ids[-1:]}  # the template's, whatever generation_config.json says
        return request_body(self._backend, given, sampling, seed) | end | self._settings.extra_body

    def _tick(self, num_tokens: int) -> None:
        self._clock += num_tokens * (self.step_s or 0.0) / max(1, self._open)

    async def _lost(self, endpoint: Endpoint, what: str) -> str:
        """The words for a server that failed: ours says how it died, another's address is named."""
        if endpoint.process is None:
            return f"{self.name} at {endpoint.url}: {what.replace(_key(), '***') if _key() else what}"
        await asyncio.sleep(1.0)  # a dying process needs a moment to be seen dead, and to write why
        return f"{self.name}: {what}; {endpoint.process.status()}"


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
