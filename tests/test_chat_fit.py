"""A chat template, the token that ends a turn, the way code is called and the prompt that asks: what fits, on the models' own templates."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.core.preflight import Finding
from components.lib import chat_fit
from tests.preflight_fixtures import CHATS, DATA, SHAPES, model

public_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")


def template(name: str) -> str:
    return (DATA / "chat/templates" / f"{name}.jinja").read_text(encoding="utf-8")


@public_data
@pytest.mark.parametrize(
    ("name", "syntax", "level"),
    [
        ("Qwen-Qwen2.5-7B-Instruct", "hermes", "ok"),
        ("Qwen-Qwen3-0.6B", "hermes", "ok"),
        ("Qwen-QwQ-32B", "fences", "ok"),
        ("openai-gpt-oss-120b", "harmony", "ok"),
        ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "fences", "ok"),
        ("Qwen-Qwen2.5-7B-Instruct", "harmony", "stop"),
        ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "hermes", "stop"),
        ("openai-gpt-oss-120b", "fences", "stop"),
        ("Qwen-Qwen2.5-7B-Instruct", "openmath", "warn"),
    ],
)
def test_a_syntax_is_the_templates(name: str, syntax: Any, level: str) -> None:
    assert chat_fit.syntax(template(name), syntax, trained=False).level == level


def test_a_model_trained_here_speaks_openmath() -> None:
    assert chat_fit.syntax("<|im_start|>", "openmath", trained=True) == Finding("ok", "tool syntax", "openmath")
    assert chat_fit.syntax("<|im_start|>", "nemoskills", trained=True).level == "ok"
    assert [chat_fit.syntax("<|im_start|>", name, trained=True).level for name in ("auto", "fences")] == ["warn", "warn"]


@public_data
def test_the_token_that_ends_a_turn_is_one_that_ends_generation(tmp_path: Path) -> None:
    ends = {chat: chat_fit.end_of_turn(model(tmp_path / chat, SHAPES["14b"], chat), {}).says for chat in CHATS}
    assert ends == {"qwen2.5": "<|im_end|>", "gptoss": "<|return|>"}
    base = tmp_path / "qwen2.5"
    settings = base / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"eos_token": "<|im_end|>"', '"eos_token": "<|endoftext|>"'))
    wrong = chat_fit.end_of_turn(base, {})
    assert wrong.level == "stop" and "ends a turn with '<|im_end|>', generation ends at <|endoftext|>" in wrong.says
    (base / "generation_config.json").write_text('{"eos_token_id": [151645, 151643]}')
    assert chat_fit.end_of_turn(base, {}).level == "ok"


@public_data
@pytest.mark.parametrize(
    ("text", "said"), [("", "chat template: .*none"), ("{{ messages[0].content }}", "leaves out what an assistant said")]
)
def test_a_template_that_is_not_there_or_loses_answers_stops(tmp_path: Path, text: str, said: str) -> None:
    one = chat_fit.end_of_turn(model(tmp_path / "base", SHAPES["14b"], template=text), {})
    assert one.level == "stop" and re.search(said, f"{one.subject}: {one.says}")


def test_somebody_asks_for_the_box() -> None:
    assert chat_fit.box(["tir"], "boxed", trained=False).level == "warn"
    assert {chat_fit.box(*one).level for one in ((["tir"], "boxed", True), (["recipes/plain/solve"], "boxed", False))} == {"ok"}
    assert chat_fit.call(["recipes/plain/solve"], "fences", trained=False).level == "warn"
    assert chat_fit.call(["recipes/numina/code"], "fences", trained=False).level == "ok"
