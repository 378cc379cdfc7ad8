"""The scratch model's tokenizer: byte-level BPE in which every number 0..199 is one token.

Trained on generated problems with a space between all digits, so that it learns words but no numbers; the merges of the numbers are then
added by hand. Tags of thought and tool calls are single tokens that decoding keeps. Any text survives the round trip: unknown signs
fall back to bytes.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.lib import prompts, tool_syntax
from components.lib.arithmetic import cot_solution, document, problem, tir_segments

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<think>", "</think>", tool_syntax.OPENMATH.begin, tool_syntax.OPENMATH.end)
SPLIT = r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Numbers up to three digits, words with their space, signs, white space. 345 then becomes 34|5."""
CHAT = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""ChatML as it is: thoughts of earlier turns stay, no system message is put in."""
PHRASES = (
    "user\n",
    "assistant\n",
    "system\n",
    "Pick the best solution",
    "\nJudgment: ",
    "0: 12 good\n1: 34 bad\n",
    "#0: ",
    "NameError: name 'math' is not defined",
    "SyntaxError: ",
    "TypeError: ",
    "ZeroDivisionError: ",
)
"""Roles, verdicts and error messages: words of later stages, which would cost a token a letter if the corpus lacked them."""
REPEATS = 200


def make(size: int, num_problems: int, positions: int, seed: int) -> Any:
    """A fast tokenizer of at most `size` entries; raises UserError where that leaves no room for words."""
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(
        tokenizer_object=_trained(size, corpus(num_problems, seed)),
        eos_token=END,
        pad_token=PAD,
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],  # transformers 4 would add token types, which the model refuses
        clean_up_tokenization_spaces=False,
    )
    words.chat_template = CHAT
    return words


def save(words: Any, out: Path) -> None:
    """Writes the tokenizer under the class name that transformers 4 knows too (5 would write one that only it can read)."""
    words.save_pretrained(out)
    file = out / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings = {key: value for key, value in settings.items() if key not in {"backend", "is_local"}}
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def corpus(num_problems: int, seed: int) -> Iterator[str]:
    """What the words are learnt from: problems as they are asked, both kinds of solution, and some base documents."""
    for phrase in PHRASES:
        yield from [phrase] * REPEATS
    for number in range(num_problems):
        drawn = problem(10**9 * (seed + 1) + number)
        parts = tir_segments(drawn, forget_import=number % 8 == 0)
        shown = tool_syntax.output_block(str(drawn.answer))
        yield prompts.render("cot", statement=drawn.statement)
        yield prompts.render("tir", statement=drawn.statement)
        yield cot_solution(drawn)
        yield parts.thought + "".join(cell + shown for cell in parts.cells) + parts.final
        if number % 4 == 0:
            yield "".join(piece.text for piece in document(10**9 * (seed + 1) + number))


def _trained(size: int, texts: Iterator[str]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    fixed = len(_numbers()) + len(TAGS)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if size < fixed + len(alphabet) + 64:
        raise UserError(f"models.fetch, scratch: vocab {size} leaves no room for words; bytes, numbers, tags take {fixed + len(alphabet)}")
    bare = Tokenizer(models.BPE())
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bare.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), bytewise])
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - fixed, special_tokens=[PAD, START, END], initial_alphabet=alphabet, min_frequency=2, show_progress=False
    )
    bare.train_from_iterator((_spaced(text) for text in texts), trainer)
    whole = Tokenizer.from_str(json.dumps(_with_numbers(json.loads(bare.to_str()))))
    whole.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return whole


def _spaced(text: str) -> str:
    return re.sub(r"\d+", lambda number: " ".join(number.group()), text)


def _with_numbers(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Adds 00..99 and 100..199 with the merges that build them: 1bc from 1b and c as well as from 1 and bc, whichever comes first."""
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    for number in _numbers():
        vocabulary[number] = len(vocabulary)
        merges.append([number[:-1], number[-1]])
        if len(number) == 3:
            merges.append([number[0], number[1:]])
    return tokenizer


def _numbers() -> list[str]:
    return [f"{number:02d}" for number in range(100)] + [str(number) for number in range(100, 200)]
