"""The server engine against servers that misbehave, and each flavour's spellings. No model server is needed."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from components.core.errors import UserError
from components.lib.engine.flavours import FLAVOURS, FlavourName, Reply, body
from components.lib.engine.protocol import Completion, EngineError, Sampling
from components.lib.engine.server import ServerEngine, ServerSettings
from tests import micro_model

PLAIN = Sampling(1.0, 1.0, 0, 0.0, 24, ())
END = "</tool_call>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return micro_model.make(tmp_path_factory.mktemp("model") / "micro")


def engine(model: Path, *urls: str, env: str = ".envs/none", flavour: FlavourName = "vllm") -> ServerEngine:
    settings = ServerSettings(
        flavour=flavour, urls=list(urls), env=env, dtype="float32", max_model_len=64, max_num_seqs=4, flags=[], body={}, template={},
        start_s=20.0, step_s=0.02,
    )  # fmt: skip
    return ServerEngine(settings, model)


def piece(text: str, finish: str | None = None, tokens: int | None = None, **more: object) -> str:
    event = {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}
    return "data: " + json.dumps(event | ({"usage": {"completion_tokens": tokens}} if tokens else {}))


@asynccontextmanager
async def serving(stream: Sequence[str], status: int = 200, models: Sequence[str] = ("micro",)) -> AsyncIterator[str]:
    """A server that answers every completion with these lines and then hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if head.startswith("GET /v1/models"):
            said, code = json.dumps({"data": [{"id": name} for name in models]}), 200
        elif head.startswith("GET"):
            said, code = "{}", 404
        else:
            said, code = "\n\n".join(stream), status
        writer.write(f"HTTP/1.1 {code} x\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{said}\n\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def ask(model: Path, stream: Sequence[str], status: int = 200, flavour: FlavourName = "vllm", stop: tuple[str, ...] = ()) -> Completion:
    async def scene() -> Completion:
        async with serving(stream, status) as url, engine(model, url, flavour=flavour) as opened:
            return await opened.complete("abc", PLAIN._replace(stop=stop), key="p/1/0", seed=1)

    return asyncio.run(scene())


def test_pieces_make_a_completion(model: Path) -> None:
    assert ask(model, [piece("a", tokens=1), piece("bc", "length", tokens=4), "data: [DONE]"]) == Completion("abc", 4, "length", None)


@pytest.mark.parametrize(
    ("stream", "status", "says"),
    [
        ([piece("half of a", tokens=3)], 200, "broke off"),
        ([], 200, "broke off"),
        ([piece("a", "abort")], 200, "abort"),
        ([piece("a"), 'data: {"error": {"message": "engine core is dead"}}'], 200, "engine core is dead"),
        (["data: {not json"], 200, "JSON"),
        (["no such field"], 400, "400: no such field"),
    ],
)
def test_a_server_that_breaks_off_is_an_error_never_a_short_text(model: Path, stream: list[str], status: int, says: str) -> None:
    with pytest.raises(EngineError, match=rf"(?s)vllm server.*127.0.0.1.*p/1/0.*{says}"):
        ask(model, stream, status)


def test_an_address_where_nobody_listens_is_an_error_that_names_it(model: Path) -> None:
    async def scene() -> None:
        async with engine(model, "http://127.0.0.1:9"):
            pass

    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"):
        asyncio.run(scene())


def test_a_server_of_other_models_is_refused(model: Path) -> None:
    async def scene() -> None:
        async with serving([], models=("one", "two")) as url, engine(model, url):
            pass

    with pytest.raises(UserError, match="one, two"):
        asyncio.run(scene())


def test_an_environment_that_is_not_built_is_named_with_the_cure(model: Path) -> None:
    with pytest.raises(UserError, match="infra/envs/build none"):
        asyncio.run(_open(engine(model)))


def test_a_server_that_dies_while_it_starts_is_an_error_with_its_last_words(model: Path) -> None:
    """This environment has no vLLM in it."""
    with pytest.raises(EngineError, match=r"(?s)exit code 1.*\.aimo/logs.*No module named 'vllm'"):
        asyncio.run(_open(engine(model, env=sys.prefix)))


def test_only_vllm_is_started_here(model: Path) -> None:
    with pytest.raises(UserError, match=r"engines\.server\.urls.*sglang"):
        engine(model, flavour="sglang")


async def _open(engine: ServerEngine) -> None:
    async with engine:
        pass


@pytest.mark.parametrize(
    ("flavour", "stream", "expected"),
    [
        ("vllm", [piece("a" + END, "stop", 3, stop_reason=END)], Completion("a" + END, 3, "stop", END)),
        ("vllm", [piece("a", "stop", 3, stop_reason=None)], Completion("a", 3, "stop", None)),
        ("vllm", [piece("a", "stop", 3, stop_reason=151645)], Completion("a", 3, "stop", None)),
        ("sglang", [piece("a", "stop", 3, matched_stop=END)], Completion("a" + END, 3, "stop", END)),
        ("sglang", [piece("a" + END, "stop", 3, matched_stop=END)], Completion("a" + END, 3, "stop", END)),
        ("trtllm", [piece("a"), piece("b" + END, "stop", stop_reason=END)], Completion("ab" + END, 2, "stop", END)),
        ("lmdeploy", [piece("a</tool_"), piece("call> and more"), piece("never read")], Completion("a" + END, 2, "stop", END)),
        ("lmdeploy", [piece("a"), piece("b", "stop")], Completion("ab", 2, "stop", None)),
    ],
)
def test_each_flavour_keeps_the_stop_string(model: Path, flavour: FlavourName, stream: list[str], expected: Completion) -> None:
    assert ask(model, stream, flavour=flavour, stop=(END,)) == expected


def test_filters_are_said_in_each_servers_own_way() -> None:
    asked = {name: body(flavour, [1], PLAIN._replace(stop=(END,)), 5) for name, flavour in FLAVOURS.items()}
    assert {name: request["top_k"] for name, request in asked.items()} == {"vllm": -1, "sglang": -1, "lmdeploy": 0, "trtllm": 0}
    assert all(request["seed"] == 5 and request["min_p"] == 0.0 for request in asked.values())
    assert asked["sglang"]["no_stop_trim"] is True
    assert "no_stop_trim" not in asked["trtllm"]
    assert "stop" not in asked["lmdeploy"]


def test_pieces_without_a_count_count_as_one() -> None:
    reply = Reply()
    for line in (piece("a"), "", ": ping", piece("b", "stop")):
        reply.take(line, FLAVOURS["sglang"], PLAIN)
    assert (reply.text, reply.num_tokens) == ("ab", 2)
