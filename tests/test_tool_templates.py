"""Prompts, calls and replies held byte by byte against the chat templates of the models that people have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.core.types import Message
from components.lib import chat_fit, references, tool_syntax
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.tool_syntax import SYNTAXES, SyntaxName
from components.solve.exam_run import syntax_of
from tests import chat_fixtures, row_fixtures
from tests.question_fixtures import settings

real = pytest.mark.skipif(not chat_fixtures.DATA.is_dir(), reason="no folder of public chat templates here")
CODE = {"code": "print(6 * 7)"}
FAMILIES: dict[str, SyntaxName] = {
    "Qwen-Qwen2.5-7B-Instruct": "hermes",
    "Qwen2.5-Coder-0.5B-Instruct": "hermes",
    "Qwen-Qwen3-0.6B": "hermes",
    "Qwen-QwQ-32B": "hermes",
    "openai-gpt-oss-120b": "harmony",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": "fences",
    "NVIDIA-Nemotron-Nano-v2": "fences",
    "HuggingFaceTB-SmolLM3-3B": "fences",
}


def attempt(chat: ChatTokenizer, call: str, syntax: SyntaxName) -> tuple[str, str]:
    """The prompt of an attempt, and what follows it to the next word of its model."""
    run = chat_fixtures.speak(chat, [[call, "So"]], syntax, told=False)
    (made,) = run.candidates()
    assert [(one.code, one.output, one.status) for one in made.runs] == [("print(6 * 7)", "42\n", "ok")]
    return run.attempts[0].prompt.text, made.text.removesuffix("So")


def rendered(chat: ChatTokenizer, prompt: str, said: dict[str, Any], **arguments: Any) -> str:
    """The template's own rendering of a chat with a call and its reply."""
    statement = f"{row_fixtures.problem().statement}\nUse Python."
    assert statement in prompt
    asked = {"role": "user", "content": statement}
    messages = [
        asked,
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "python", "arguments": CODE}}], **said},
    ]
    messages.append({"role": "tool", "content": "42"})
    return str(chat.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **arguments))


@real
@pytest.mark.parametrize("template", [name for name, family in FAMILIES.items() if family == "hermes"])
def test_qwens_read_and_write_what_their_templates_would(template: str, tmp_path: Path) -> None:
    chat = chat_fixtures.chat("qwen2.5", tmp_path, tags=True, template=template)
    call = f'Let me see.\n<tool_call>\n{{"name": "python", "arguments": {json.dumps(CODE)}}}\n</tool_call>'
    prompt, text = attempt(chat, call, "hermes")
    whole = rendered(chat, prompt, {"content": "Let me see."}, tools=[tool_syntax.PYTHON_TOOL])
    if "QwQ" in template:  # it leaves out what was thought in earlier turns; a running attempt still has it before itself
        opened = prompt.rpartition("<|im_start|>assistant\n")[2]
        whole = whole.replace("<|im_start|>assistant\nLet me", f"<|im_start|>assistant\n{opened}Let me")
        assert opened.startswith("<think>\n") and whole.endswith(opened)
    assert prompt + text == whole


@real
def test_gpt_oss_reads_and_writes_what_its_template_would(tmp_path: Path) -> None:
    chat = chat_fixtures.chat("gptoss", tmp_path, tags=False)
    header = "<|start|>assistant to=functions.python<|channel|>commentary json<|message|>"
    call = f"<|channel|>analysis<|message|>Hm.<|end|>{header}{json.dumps(CODE)}<|call|>"
    prompt, text = attempt(chat, call, "harmony")
    today = rendered(chat, prompt, {"content": "", "thinking": "Hm."}, builtin_tools=["python"])
    assert prompt + text == re.sub(r"(?<=Current date: )\d{4}-\d\d-\d\d", "2025-08-05", today)
    assert "Current date: 2025-08-05\n\nReasoning: medium\n\n# Tools\n\n## python\n\nUse this tool to execute Python code" in prompt


@real
def test_gpt_oss_own_tool_answers_the_assistant(tmp_path: Path) -> None:
    chat = chat_fixtures.chat("gptoss", tmp_path, tags=False)
    call = "<|channel|>analysis to=python code<|message|>print(6 * 7)<|call|>"
    _, text = attempt(chat, call, "harmony")
    assert text == f"{call}<|start|>python to=assistant<|channel|>analysis<|message|>42<|end|><|start|>assistant"


@real
def test_the_settings_of_a_template_stand_beside_its_tool(tmp_path: Path) -> None:
    chat = chat_fixtures.chat("gptoss", tmp_path, tags=False)
    high = ChatTokenizer(chat.tokenizer, {"reasoning_effort": "high"})
    prompt = high.prompt([Message(role="user", content="2+2?", loss=False)], SYNTAXES["harmony"].template_arguments).text
    assert "Reasoning: high\n\n# Tools\n\n## python\n\n" in prompt


@real
@pytest.mark.parametrize(("template", "family"), FAMILIES.items())
def test_a_family_is_recognised_by_its_template(template: str, family: SyntaxName, tmp_path: Path) -> None:
    text = (chat_fixtures.DATA / "templates" / f"{template}.jinja").read_text(encoding="utf-8")
    (tmp_path / "chat_template.jinja").write_text(text, encoding="utf-8")
    assert syntax_of(settings(plan=PLAN, syntax="auto"), tmp_path) == family
    assert syntax_of(settings(plan=PLAN, syntax="openmath"), tmp_path) == "openmath"


@real
def test_qwens_mathematicians_write_fences_though_their_template_knows_calls() -> None:
    """Their template: Qwen2.5's with another default system message. What is written by hand stands."""
    usual = (chat_fixtures.DATA / "templates" / "Qwen-Qwen2.5-7B-Instruct.jinja").read_text(encoding="utf-8")
    theirs = usual.replace(
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
        r"Please reason step by step, and put your final answer within \\boxed{}.",
    )
    assert tool_syntax.recognise(usual) == "hermes" and tool_syntax.recognise(theirs) == "fences"
    assert chat_fit.syntax(theirs, "hermes", trained=False).level == "ok"


PLAN = {"kind": "fixed", "attempts": [["tir", 1]], "interleave": False}


@pytest.mark.parametrize(
    "template", ["<|channel|>", [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "<|channel|>"}]]
)
def test_a_template_within_the_tokenizers_settings_counts(template: object, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    assert syntax_of(settings(plan=PLAN, syntax="auto"), tmp_path) == "harmony"


def test_a_family_that_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no chat template; add chat_template.jinja"):
        syntax_of(settings(plan=PLAN, syntax="auto"), tmp_path)
    references.write(references.Reference(kind="teacher", path=None, served_model_name=None, files={}), tmp_path)
    with pytest.raises(UserError, match="write the name instead of auto"):
        syntax_of(settings(plan=PLAN, syntax="auto"), tmp_path)
