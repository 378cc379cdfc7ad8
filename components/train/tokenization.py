"""Training rows to tokens: what the model sees in training is, byte for byte, what it will see in a run.

The part up to the last user message goes through the model's chat template; what follows is one assistant turn of raw text, tool
output included, closed by the end of the turn. Loss is per message: tool output and prompt never carry any.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.core.errors import UserError
from components.core.types import Example, Message

IGNORE_INDEX = -100
"""The label that PyTorch's cross entropy leaves out."""


class TokenizedExample(NamedTuple):
    """Two lists of equal length; `labels` is IGNORE_INDEX where nothing is learnt."""

    input_ids: list[int]
    labels: list[int]


def encode(example: Example, tokenizer: Any) -> TokenizedExample:
    """Tokenises message by message, so that a loss boundary is a token boundary."""
    last_user = max(i for i, message in enumerate(example.messages) if message.role == "user")
    prompt = render_prompt(example.messages[: last_user + 1], tokenizer)
    ids = list(tokenizer.encode(prompt, add_special_tokens=False))
    labels = [IGNORE_INDEX] * len(ids)
    for position, message in enumerate(example.messages[last_user + 1 :]):
        text = message.content
        if position == 0 and prompt.endswith("<think>\n"):  # some templates open the thought themselves
            text = text.removeprefix("<think>\n")
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        labels += piece if message.loss else [IGNORE_INDEX] * len(piece)
    return TokenizedExample([*ids, tokenizer.eos_token_id], [*labels, tokenizer.eos_token_id])


def render_prompt(messages: Sequence[Message], tokenizer: Any) -> str:
    """A chat as text, ready for the assistant's turn."""
    chat = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))


def check_chat_template(tokenizer: Any, model: Path) -> None:
    """Refuses a model whose chat template is missing or drops the thought (as DeepSeek-R1's does: open-r1's README)."""
    if not tokenizer.chat_template:
        raise UserError(f"{model}: its tokenizer has no chat template; add chat_template.jinja to the folder (ChatML will do)")
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nkept\n</think>\na"}]
    if "kept" not in tokenizer.apply_chat_template(chat, tokenize=False):
        raise UserError(
            f"{model}: its chat template drops the text between <think> and </think>, so a server would not show a model its own "
            "thought; remove that rule from chat_template.jinja"
        )
