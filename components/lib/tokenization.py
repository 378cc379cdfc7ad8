"""Training rows to token ids: what the model sees in training is, id for id, what it sees in a sitting.

The part up to the last user message goes through the model's chat template; what follows is one assistant turn in pieces, as an attempt
is: what was generated, what was put in. Each piece is tokenised by itself, so that no token lies across a joint. The end of the turn is the
template's own. Loss is per message: tool output and prompt never carry any.
"""

from pathlib import Path
from typing import NamedTuple

from components.core.errors import UserError
from components.core.types import Example
from components.lib.engine.chat_template import ChatTokenizer

IGNORE_INDEX = -100
"""The label that PyTorch's cross entropy leaves out."""
THOUGHT = "<think>\n"


class TokenizedExample(NamedTuple):
    """Two lists of equal length; `labels` is IGNORE_INDEX where nothing is learnt."""

    input_ids: list[int]
    labels: list[int]


def encode(example: Example, chat: ChatTokenizer) -> TokenizedExample:
    """Piece by piece; raises UserError where the chat template drops what an earlier turn said."""
    last_user = max(i for i, message in enumerate(example.messages) if message.role == "user")
    asked, turn = example.messages[: last_user + 1], example.messages[last_user + 1 :]
    prompt = chat.prompt(asked)
    for message in asked:
        if message.role == "assistant" and message.content.strip() not in prompt.text:
            raise UserError(
                f"{example.id}: the chat template drops what an earlier turn said, its thought or more; "
                "take the thoughts out of the row's earlier turns, or that rule out of the model's chat_template.jinja"
            )
    ids, labels = list(prompt.ids), [IGNORE_INDEX] * len(prompt.ids)
    for place, message in enumerate(turn):
        opened = place == 0 and prompt.text.endswith(THOUGHT)  # some templates open the thought themselves
        piece = chat.encode(message.content.removeprefix(THOUGHT) if opened else message.content).ids
        ids += piece
        labels += piece if message.loss else [IGNORE_INDEX] * len(piece)
    return TokenizedExample([*ids, *chat.end_of_turn.ids], [*labels, *chat.end_of_turn.ids])


def check_chat_template(chat: ChatTokenizer, model: Path) -> None:
    """Refuses a model whose chat template drops the thought of the last turn (as DeepSeek-R1's does: open-r1's README)."""
    if "kept" not in chat.render([("user", "q"), ("assistant", "<think>\nkept\n</think>\na")], add_generation_prompt=False):
        raise UserError(
            f"{model}: its chat template drops the text between <think> and </think>, so a server would not show a model its own "
            "thought; remove that rule from chat_template.jinja"
        )
