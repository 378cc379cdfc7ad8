"""The chat template of a model folder: messages to prompt text, the same for the model in this process and the one behind a server."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from components.core.errors import UserError
from components.core.types import Message


def tokenizer(folder: Path) -> Any:
    """The folder's tokenizer (the folder was checked); UserError where it has no chat template."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if found.chat_template is None:
        raise UserError(f"{folder}: the tokenizer has no chat template; put chat_template.jinja of an instruct model into the folder")
    return found


def render(tokenizer: Any, messages: Sequence[Message], arguments: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The prompt, ready for the assistant's turn; it is tokenised later without special tokens, for the template has put them in.

    `arguments` are the template's own (reasoning_effort, enable_thinking, builtin_tools).
    """
    chat = [{"role": message.role, "content": message.content} for message in messages]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **arguments)
