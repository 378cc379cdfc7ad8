"""The server engine against servers that misbehave, and each backend's spellings. No model server is needed."""

import asyncio
import json
import math
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from components.core.errors import UserError
from components.lib.engine.backends import BACKENDS, BackendName, StreamedReply, request_body
from components.lib.engine.protocol import Completion, EngineError, StopCondition
from components.lib.engine.server import ServerEngine
from tests import model_fixtures
from tests.server_fixtures import PLAIN, Fake, engine, piece, said

END = "</tool_call>"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


def ask(model: Path, stream: Sequence[str], status: int = 200, backend: BackendName = "vllm", stop: tuple[str, ...] = ()) -> Completion:
    async def scene() -> Completion:
        async with Fake(stream, status) as url, engine(model, url, backend=backend) as opened:
            return await said(opened, PLAIN._replace(stop=stop))

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
        async with Fake([], models=("one", "two")) as url, engine(model, url):
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
        engine(model, backend="sglang")


async def _open(engine: ServerEngine) -> None:
    async with engine:
        pass


@pytest.mark.parametrize(
    ("backend", "stream", "expected"),
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
def test_each_flavour_keeps_the_stop_string(model: Path, backend: BackendName, stream: list[str], expected: Completion) -> None:
    assert ask(model, stream, backend=backend, stop=(END,)) == expected


def test_filters_are_said_in_each_servers_own_way() -> None:
    asked = {name: request_body(backend, [1], PLAIN._replace(stop=(END,)), 5) for name, backend in BACKENDS.items()}
    assert {name: request["top_k"] for name, request in asked.items()} == {"vllm": -1, "sglang": -1, "lmdeploy": 0, "trtllm": 0}
    assert all(request["seed"] == 5 and request["min_p"] == 0.0 for request in asked.values())
    assert asked["sglang"]["no_stop_trim"] is True
    assert "no_stop_trim" not in asked["trtllm"]
    assert "stop" not in asked["lmdeploy"]


def test_pieces_without_a_count_count_as_one() -> None:
    reply = StreamedReply()
    for line in (piece("a"), "", ": ping", piece("b", "stop")):
        reply.take(line, BACKENDS["sglang"], PLAIN)
    assert (reply.text, reply.num_tokens) == ("ab", 2)


# ---- several servers -----------------------------------------------------------------------------------------------

WHOLE = [piece("wh", tokens=1), piece("ole", "length", tokens=2)]


async def together(model: Path, fakes: Sequence[Fake], num: int = 1) -> list[Completion]:
    """So many requests at once to all the fakes; and once more, after whatever happened."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(fake) for fake in fakes]
        opened = await stack.enter_async_context(engine(model, *urls))
        first = await asyncio.gather(*(said(opened, key=f"p/{index}/0", seed=index) for index in range(num)))
        return [*first, await said(opened, key="p/9/0", seed=9)]


def test_several_addresses_share_the_requests(model: Path) -> None:
    fakes = [Fake(WHOLE), Fake(WHOLE), Fake(WHOLE)]
    completions = asyncio.run(together(model, fakes, num=6))
    assert completions == [Completion("whole", 2, "length", None)] * 7
    assert sorted(len(fake.asked) for fake in fakes) == [2, 2, 3]


@pytest.mark.parametrize(("broken", "status"), [([piece("half", tokens=1)], 200), ([], 500), ([piece("a", "abort")], 200)])
def test_what_a_dying_server_had_begun_is_asked_anew_elsewhere(model: Path, broken: list[str], status: int) -> None:
    dying, healthy = Fake(broken, status), Fake(WHOLE)
    completions = asyncio.run(together(model, [dying, healthy], num=4))
    assert completions == [Completion("whole", 2, "length", None)] * 5
    assert {request["seed"] for request in dying.asked} < {request["seed"] for request in healthy.asked} == {0, 1, 2, 3, 9}
    assert len(dying.asked) == 2, "it is left alone once it is lost"


def test_when_all_servers_are_dead_each_is_named_also_to_who_comes_later(model: Path) -> None:
    async def scene() -> tuple[list[str], list[str]]:
        async with Fake([piece("half", tokens=1)]) as one, Fake([], status=503) as two, engine(model, one, two) as opened:
            told = []
            for turn in range(2):
                with pytest.raises(EngineError, match=f"p/{turn}/0") as failure:
                    await said(opened, key=f"p/{turn}/0")
                told.append(str(failure.value))
            return told, [one, two]

    told, urls = asyncio.run(scene())
    assert all(url in one for url in urls for one in told)


def test_a_refusal_is_not_tried_elsewhere(model: Path) -> None:
    refusing, other = Fake(["no such field"], status=400), Fake(WHOLE)
    with pytest.raises(EngineError, match="400: no such field"):
        asyncio.run(together(model, [refusing, other]))
    assert not other.asked


# ---- what the caller watches for -----------------------------------------------------------------------------------

AT_BRACE = StopCondition("boxed", "}", lambda text: text.find("}") + 1 or None)
TWICE_AA = StopCondition(
    "twice", "", lambda text: len(text) if text.endswith("aa") else None
)  # holds at one moment only: a whole piece hides it


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "asked", "wanted"),
    [
        ("so 7} and more", {"stop_conditions": (AT_BRACE,)}, ("so 7}", "stop_condition", "boxed")),
        ("xaab and more}", {"stop_conditions": (AT_BRACE, TWICE_AA)}, ("xaa", "stop_condition", "twice")),
        ("x}</tool_call> y", {"stop_conditions": (AT_BRACE,), "stop": (END,)}, ("x}", "stop_condition", "boxed")),
    ],
)
@pytest.mark.parametrize("backend", ["vllm", "lmdeploy"])
def test_a_reason_of_the_callers_cuts_at_one_place_in_whatever_pieces_and_closes_the_stream(
    model: Path, backend: BackendName, text: str, asked: dict[str, object], wanted: tuple[str, str, str], size: int
) -> None:
    fake = Fake([piece(text[at : at + size]) for at in range(0, len(text), size)], endless=True)

    async def scene() -> Completion:
        async with fake as url, engine(model, url, backend=backend) as opened:
            completion = await said(opened, PLAIN._replace(**asked))
            async with asyncio.timeout(5):
                await fake.left_by_client.wait()
            return completion

    completion = asyncio.run(scene())
    assert (completion.text, completion.finish_reason, completion.stop_reason) == wanted


def test_a_reason_that_holds_in_the_last_piece_counts(model: Path) -> None:
    reply = StreamedReply()
    reply.take(piece("x} and more", "length", 3), BACKENDS["vllm"], PLAIN._replace(stop_conditions=(AT_BRACE,)))
    assert reply.completion(()) == Completion("x}", 3, "stop_condition", "boxed")


@pytest.mark.parametrize(("likeliest", "wanted"), [(2, math.log(2)), (3, 1.375 * math.log(2))])
def test_entropies_are_over_the_likeliest_tokens_alone(model: Path, likeliest: int, wanted: float) -> None:
    """1/2 ln 2 + 1/4 ln 4 = ln 2; with 1/8 ln 8 it is 1.375 ln 2. A server adds the drawn token where it is none of the likeliest."""
    shares = {"drawn": 1 / 16, "a": 1 / 2, "b": 1 / 4, "c": 1 / 8, "never": 0.0}
    given = {token: math.log(share) if share else -9999.0 for token, share in list(shares.items())[: likeliest + 1]}
    reply = StreamedReply()
    for finish in (None, "length"):
        reply.take(piece("x", finish, logprobs={"top_logprobs": [given]}), BACKENDS["vllm"], PLAIN._replace(logprobs=likeliest))
    assert reply.completion(()).entropies == pytest.approx([wanted, wanted])
    assert request_body(BACKENDS["vllm"], [1], PLAIN._replace(logprobs=likeliest), 1)["logprobs"] == likeliest


def test_other_line_separators_are_part_of_the_text(model: Path) -> None:
    text = "a\u2028b\u0085c\x0cd"
    line = "data: " + json.dumps({"choices": [{"text": text, "finish_reason": "length"}]}, ensure_ascii=False)
    assert ask(model, [line]).text == text
