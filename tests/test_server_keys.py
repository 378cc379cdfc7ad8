"""The key that a running server asks for: it comes from the environment, goes into requests, and nowhere else."""

import asyncio
import logging
import traceback
from pathlib import Path

import pytest

from components.core.errors import UserError
from components.lib.engine.protocol import Completion, EngineError
from tests import model_fixtures
from tests.test_servers import WHOLE, Fake, engine, piece, together


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "micro")


def test_the_key_of_the_environment_is_shown_to_running_servers(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " sk-right\n")
    fake = Fake(WHOLE, key="sk-right")
    assert asyncio.run(together(model, [fake])) == [Completion("whole", 2, "length", None)] * 2
    assert len(fake.heads) == 4 and all("Bearer sk-right\r\n" in head for head in fake.heads)


def test_without_a_key_none_is_shown_and_a_server_that_wants_one_says_where_it_goes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    fake = Fake(WHOLE, key="sk-right")
    with pytest.raises(EngineError, match=r"127\.0\.0\.1.*refused with 401; set OPENAI_API_KEY in the environment"):
        asyncio.run(together(model, [fake]))
    assert "authorization" not in "".join(fake.heads).lower()


def test_a_key_reaches_no_error_and_no_log(model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Not even where a server quotes it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    caplog.set_level(logging.DEBUG)
    for fake in (
        Fake([], key="sk-right"),
        Fake(["wrong key: sk-secret"], status=400),
        Fake(["wrong key: sk-secret"], status=500),
        Fake([piece("a"), 'data: {"error": {"message": "wrong key: sk-secret"}}']),
    ):
        with pytest.raises(EngineError) as failure:
            asyncio.run(together(model, [fake]))
        assert any("sk-secret" in head for head in fake.heads)
        assert "sk-secret" not in "".join(traceback.format_exception(failure.value))
    assert "sk-secret" not in caplog.text


def test_a_password_in_an_address_reaches_no_error(model: Path) -> None:
    async def scene() -> None:
        async with Fake([], key="sk-right") as url, engine(model, url.replace("//", "//me:hidden@")):
            pass

    with pytest.raises(EngineError) as failure:
        asyncio.run(scene())
    assert "refused with 401" in str(failure.value) and "hidden" not in str(failure.value)


def test_what_no_header_can_hold_is_refused_unquoted(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u00e9t\u00e9")
    with pytest.raises(UserError, match=r"^OPENAI_API_KEY: holds characters that no key has; set it in the environment again$"):
        asyncio.run(together(model, [Fake(WHOLE)]))
