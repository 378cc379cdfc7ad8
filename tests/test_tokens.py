"""Tokens are made once: the same ids in a sitting and in training, exactly one BOS, and the end of turn of the template."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from components.compose.kind import assistant_turn, user_message
from components.core.errors import UserError
from components.core.types import Example, Inserted, Message
from components.lib import checkpoint, tokenization
from components.lib.engine.chat_template import ChatTokenizer
from components.lib.engine.tokens import Tokens
from components.solve.attempt import Attempt
from tests import chat_fixtures, model_fixtures, row_fixtures
from tests.chat_fixtures import CALLS, compared
from tests.model_fixtures import END_OF_TEXT, END_OF_TURN
from tests.quantize_fixtures import byte_tokenizer
from tests.question_fixtures import fixed, run_attempts
from tests.test_servers import PLAIN, Fake, engine, piece

CHATML = model_fixtures.TEMPLATE
real = pytest.mark.skipif(not chat_fixtures.DATA.is_dir(), reason="no folder of public tokenizers here")


def bytewise(template: str = CHATML, adds_bos: bool = False, **names: str) -> ChatTokenizer:
    """A token per byte, ChatML's marks, and <s>."""
    from tokenizers import processors

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>", **names})
    tokenizer.chat_template = template
    if adds_bos:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    return ChatTokenizer(tokenizer)


# ---- the same ids, here and there ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ChatTokenizer]:
    folder = tmp_path_factory.mktemp("chats")
    wanted = {"qwen2.5": True, "qwen3": False, "gptoss": False}
    return {name: chat_fixtures.chat(name, folder / name, tags=tags) for name, tags in wanted.items()}


@real
def test_training_and_sitting_differ_nowhere(chats: dict[str, ChatTokenizer]) -> None:
    for name, chat in chats.items():
        for syntax in CALLS:
            num = 18 if syntax == "openmath" else 6  # every start after every end; of the others all starts
            ways = [one for told in (False, True) for one in compared(chat, num, syntax, told=told)]
            assert [one.sat for one in ways] == [one.trained for one in ways], (name, syntax)
            assert any(one.whole != one.sat for one in ways), f"{name}, {syntax}: these texts do not show a difference"


def test_what_was_put_in_is_marked_and_carries_no_loss(tmp_path: Path) -> None:
    replies = {"p/0/0": "</tool_call>", "p/0/1": "So.<tool_call>\nprint(7)\n</tool_call>", "p/0/2": "It is \\boxed{7}."}
    (made,) = run_attempts(tmp_path, replies, fixed(tir=1), show_remaining_executions=True)
    shown = made.text[made.inserted[-1].begin : made.inserted[-1].end]
    assert made.inserted == (Inserted(begin=12, end=12, output=False), Inserted(begin=48, end=48 + len(shown), output=True))
    assert "7" in shown and "1 more times" in shown
    assert [(message.content, message.role, message.loss) for message in assistant_turn(made)] == [
        ("</tool_call>", "assistant", True),
        ("So.<tool_call>\nprint(7)\n</tool_call>", "assistant", True),
        (shown, "tool", False),
        ("It is \\boxed{7}.", "assistant", True),
    ]
    with pytest.raises(UserError, match="p: attempt 0 ran code 1 times, but does not say where"):
        assistant_turn(made.model_copy(update={"inserted": ()}))


def test_what_begins_a_reply_is_marked_and_a_branch_keeps_the_marks() -> None:
    attempt = Attempt(row_fixtures.problem(), 0, "tir", Tokens("asked"))
    attempt.begin(Tokens("```python\n"))
    child = attempt.branch(1)
    child.begin(Tokens("x = "))
    assert [(span.begin, span.end, span.output) for span in child.reply.inserted] == [(0, 10, False), (10, 14, False)]
    assert (attempt.text, len(attempt.reply.inserted), child.text) == ("```python\n", 1, "```python\nx = ")


@pytest.mark.parametrize(
    ("drawn", "left", "kept"),
    [
        (["<tool_call>", "a", "<|im_end|>"], "<tool_call>a", ["<tool_call>", "a"]),
        (["a", "<tool_call>"], "a<tool_", ["a", *"<tool_"]),  # cut within a token
        (list("<tool_call>"), "<tool_call>", list("<tool_call>")),  # drawn letter by letter, and kept so
        (list("<tool_call>b"), "<tool_call>", list("<tool_call>")),
        (["a", "Ã", "©"], "aé", ["a", "Ã", "©"]),
        (["a", "Ã"], "a", ["a"]),  # half a character
        (["a", "<|im_end|>"], "", []),
        ([], "ab", ["a", "b"]),  # a server that told no ids
    ],
)
def test_a_cut_keeps_the_ids_that_were_drawn(drawn: list[str], left: str, kept: list[str]) -> None:
    chat = bytewise()
    chat.tokenizer.add_tokens(["<tool_call>"])
    ids = chat.tokenizer.convert_tokens_to_ids(drawn)
    assert chat.tokenizer.convert_ids_to_tokens(chat.cut(ids, left)) == kept


@real
def test_a_cut_leaves_what_training_makes_of_the_text(chats: dict[str, ChatTokenizer]) -> None:
    for chat in chats.values():
        for text in ("x = 1\n```\n", "so</tool_call>", "{\\boxed{7}"):
            for beyond in ("\n", "\n\n\n", ">", "}}", " ünd"):
                assert chat.cut(chat.encode(text + beyond).ids, text) == chat.encode(text).ids


# ---- servers -----------------------------------------------------------------------------------------------------------------


def test_a_servers_ids_are_kept_as_they_were_drawn(tmp_path: Path) -> None:
    model = model_fixtures.make(tmp_path / "micro")
    chat = ChatTokenizer.load(model)
    letters = [*chat.tokenizer.convert_tokens_to_ids(list("<tool_call>")), END_OF_TEXT]  # which vLLM's text does not show
    end = END_OF_TURN
    fake = Fake([piece("<tool_call>", token_ids=letters), piece("", "stop", 12, token_ids=[end])])

    async def scene() -> None:
        async with fake as url, engine(model, url) as opened:
            prompt = opened.render([user_message("abc")])
            first = await opened.complete(prompt, PLAIN, key="p/1/0", seed=1)
            assert first.ids == tuple(letters) != opened.encode("<tool_call>").ids
            await opened.complete(prompt + first.tokens + opened.encode("d"), PLAIN, key="p/1/1", seed=1)
            sent = fake.asked[1]["prompt"]
            assert sent == [*prompt.ids, *letters, *opened.encode("d").ids]

    asyncio.run(scene())
    assert fake.asked[0]["return_token_ids"] is True and fake.asked[0]["stop_token_ids"] == [end]


# ---- where a text begins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize("template", [CHATML, "{{ bos_token }}" + CHATML])
def test_a_prompt_has_exactly_one_bos_where_template_or_tokenizer_puts_one(template: str, adds_bos: bool) -> None:
    chat = bytewise(template, adds_bos)
    prompt, bos = chat.prompt([user_message("ab")]), chat.tokenizer.bos_token_id
    assert prompt.ids.count(bos) == prompt.text.count("<s>") == int(adds_bos or "bos" in template) == (prompt.ids[0] == bos)
    assert chat.encode("ab").ids.count(bos) == 0
    assert list(chat.tokenizer(chat.bare(prompt.text))["input_ids"]) == list(prompt.ids), "one, too, where a server tokenises the text"


# ---- where a turn ends ---------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("name", "template", "end"),
    [
        ("qwen2.5", None, "<|im_end|>"),
        ("qwen2.5", "Qwen-QwQ-32B", "<|im_end|>"),
        ("qwen3", None, "<|im_end|>"),
        ("gptoss", None, "<|return|>"),
        ("qwen3", "NVIDIA-Nemotron-Nano-v2", "\n<SPECIAL_12>"),
        ("qwen3", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<｜end▁of▁sentence｜>"),
    ],
)
def test_a_turn_ends_as_its_template_says(chats: dict[str, ChatTokenizer], name: str, template: str | None, end: str) -> None:
    tokenizer = chats[name].tokenizer
    own = tokenizer.chat_template
    try:
        if template:
            tokenizer.chat_template = (chat_fixtures.DATA / "templates" / f"{template}.jinja").read_text(encoding="utf-8")
        if end.strip() not in tokenizer.get_vocab():
            with pytest.raises(UserError, match="in which no token of its tokenizer ends it"):
                _ = ChatTokenizer(tokenizer).end_of_turn
            tokenizer.add_tokens([end.strip()])
        assert ChatTokenizer(tokenizer).end_of_turn.text == end
    finally:
        tokenizer.chat_template = own


def test_the_trained_end_is_the_templates_not_the_tokenizers() -> None:
    chat = bytewise(eos_token="<|endoftext|>")
    row = Example(id="r", problem="p", candidate=0, kind="cot", messages=(user_message("q"), said("a")))
    assert chat.tokenizer.convert_ids_to_tokens(tokenization.encode(row, chat).labels[-2:]) == ["a", "<|im_end|>"]


def test_a_template_that_writes_no_end_leaves_it_to_the_tokenizer() -> None:
    chat = bytewise("{% for m in messages %}{{ m.content }}{% endfor %}", eos_token="<|endoftext|>")
    assert chat.end_of_turn.text == "<|endoftext|>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, {"eos_token_id": [2]}),
        ({"eos_token_id": 0, "top_k": 20}, {"eos_token_id": [2, 0], "top_k": 20}),
        ({"eos_token_id": [0, 2]}, {"eos_token_id": [0, 2]}),
    ],
)
def test_generation_stops_where_the_template_ends_a_turn(tmp_path: Path, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    path = tmp_path / "generation_config.json"
    if before:
        path.write_text(json.dumps(before), encoding="utf-8")
    checkpoint.write_end_of_turn(tmp_path, 2)
    assert json.loads(path.read_text(encoding="utf-8")) == after


# ---- what a template drops ---------------------------------------------------------------------------------------------------


def said(text: str) -> Message:
    return Message(role="assistant", content=text, loss=True)


FORGETFUL = CHATML.replace("m.content", "(m.content if loop.last else m.content.split('</think>')[-1])")


def test_a_template_that_drops_earlier_thoughts_is_refused_for_rows_that_have_some() -> None:
    chat, first = bytewise(FORGETFUL), "<think>\nold\n</think>\na"
    tokenization.check_chat_template(chat, Path("model"))
    turns = (user_message("q"), said(first), user_message("r"), said("<think>\nnew\n</think>\nb"))
    row = Example(id="cot/p/0", problem="p", candidate=0, kind="cot", messages=turns)
    with pytest.raises(UserError, match="cot/p/0: the chat template drops what an earlier turn said"):
        tokenization.encode(row, chat)
    assert first in chat.decode(tokenization.encode(row, bytewise()).input_ids)
    without = row.model_copy(update={"messages": (turns[0], said("a"), *turns[2:])})
    assert "new" in chat.decode(tokenization.encode(without, chat).input_ids)


def test_a_template_that_drops_the_last_thought_is_refused() -> None:
    with pytest.raises(UserError, match="model: its chat template drops the text between"):
        tokenization.check_chat_template(bytewise(FORGETFUL.replace("loop.last", "false")), Path("model"))
