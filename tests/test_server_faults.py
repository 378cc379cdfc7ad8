"""What passes: a server that fails for a while, breaks off, falls silent or says no is asked again, and no exam ends for it."""

import asyncio
import logging
import math
from pathlib import Path

import pytest

from components.lib.engine.protocol import Completion, EngineError
from components.lib.engine.server_process import SECRET
from tests import model_fixtures
from tests.server_fixtures import PLAIN, Fake, Fault, engine, piece, said

WHOLE = [piece("wh", tokens=1), piece("ole", "length", tokens=2)]
COMPLETION = Completion("whole", 2, "length", None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


def ask(model: Path, fake: Fake, retry_s: float = 20.0, silence_s: float = 20.0, num: int = 1) -> list[Completion]:
    async def scene() -> list[Completion]:
        async with fake as url, engine(model, url, retry_s=retry_s, silence_s=silence_s) as opened:
            return await asyncio.gather(*(said(opened, PLAIN._replace(logprobs=2), key=f"p/{index}/0", seed=index) for index in range(num)))

    return asyncio.run(scene())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(["overloaded"], status=503),
        Fault(["slow down"], status=429),
        Fault(reset=True),
        Fault([piece("half", tokens=1)]),
        Fault([piece("half", tokens=1), "data: [DONE]"]),
        Fault([piece("half", "abort", tokens=1)]),
        Fault([piece("half"), 'data: {"error": {"message": "engine core is dead"}}']),
        Fault(["data: {not json"]),
        Fault([piece("half", tokens=1)], silent=True),
    ],
)
def test_what_fails_once_is_asked_again_and_nothing_of_it_stays(model: Path, fault: Fault) -> None:
    fake = Fake(WHOLE, faults=[fault])
    assert ask(model, fake, silence_s=0.5) == [COMPLETION]
    assert len(fake.asked) == 2 and fake.asked[0] == fake.asked[1]


def test_a_server_that_fails_for_a_while_is_asked_after_growing_pauses_by_all_who_wait(model: Path) -> None:
    fake = Fake(WHOLE, faults=[Fault(["no"], status=500)] * 8)
    assert ask(model, fake, num=4) == [COMPLETION] * 4
    assert len(fake.asked) == 12


def test_what_arrived_with_its_ids_is_kept_and_the_rest_asked_for(model: Path) -> None:
    """As vLLM sends them, with `return_token_ids`; the seam is in no number."""
    rest = [piece("cd", "length", 2, token_ids=[1, 2], logprobs={"top_logprobs": [{"c": 0.0}, {"d": 0.0}]})]
    halves = {"a": math.log(0.5), "b": math.log(0.5)}

    async def scene() -> tuple[Completion, list[int]]:
        fake = Fake(rest)
        async with fake as url, engine(model, url, retry_s=20.0) as opened:
            drawn = list(opened.encode("ab").ids)
            fake._faults = [Fault([piece("ab", None, 2, token_ids=drawn, logprobs={"top_logprobs": [halves, halves]})])]
            grown = list[int]()
            whole = await opened.complete(
                opened.encode("abc"), PLAIN._replace(logprobs=2), key="p/1/0", seed=1, progress=lambda _, num: grown.append(num)
            )
            first, second = fake.asked
            assert second["prompt"] == [*first["prompt"], *drawn]
            assert (first["max_tokens"], second["max_tokens"]) == (24, 22)
            assert whole.ids[:2] == tuple(drawn)
            return whole, grown

    whole, grown = asyncio.run(scene())
    assert (whole.text, whole.num_tokens, whole.finish_reason) == ("abcd", 4, "length")
    assert whole.entropies == pytest.approx([math.log(2), math.log(2), 0, 0])
    assert grown == sorted(grown) and grown[-1] == 4


def test_what_stays_broken_ends_in_a_few_lines_that_name_the_limit(model: Path) -> None:
    with pytest.raises(
        EngineError, match=r"(?s)p/0/0: no server answered it within 1 s \(.*engines\.server\.retry_s\).*500: no"
    ) as failure:
        ask(model, Fake(["no"], status=500), retry_s=1.0)
    assert len(str(failure.value).splitlines()) <= 5


@pytest.mark.parametrize("said", ["This model's maximum context length is 64 tokens.", "longer than the model's context length"])
def test_an_overflow_ends_the_text_by_length(model: Path, said: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert ask(model, Fake([], faults=[Fault([said], status=400)])) == [Completion("", 0, "length", None)]
    assert "ends by length" in caplog.text
    assert "HTTP Request" not in caplog.text, "a line of the HTTP library for each request"


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        ([piece("a", tokens=1), piece("", "stop", tokens=1)], Completion("a", 1, "stop", None)),
        ([piece("a"), piece("b"), piece("", "stop")], Completion("ab", 2, "stop", None)),
        ([piece("a", "stop", 1, logprobs={"top_logprobs": [{"a": 0.0, "b": None}]})], Completion("a", 1, "stop", None, (0.0,))),
        ([line.replace("data: ", "data:") for line in [piece("a", "stop", 1)]] + ["data:[DONE]"], Completion("a", 1, "stop", None)),
        ([piece("a", "stop", 1), "data:", ": ping", "data: [DONE]"], Completion("a", 1, "stop", None)),
    ],
)
def test_what_servers_send_beside_the_text_is_read_as_it_is_meant(model: Path, stream: list[str], wanted: Completion) -> None:
    fake = Fake(stream)
    assert ask(model, fake) == [wanted]
    assert len(fake.asked) == 1


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "VLLM_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"])
def test_a_server_of_ours_is_given_no_secret(name: str) -> None:
    assert SECRET.search(name)
    assert not any(SECRET.search(plain) for plain in ("PATH", "TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES", "KEYBOARD"))
