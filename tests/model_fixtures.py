"""A model folder that is made in a second: random weights, one token per character, the chat tags of the tiny profile."""

import json
from pathlib import Path

from components.core.params import read

PROFILE = Path(__file__).parents[1] / "infra/profiles/tiny.yaml"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
POSITIONS = 512
END_OF_TEXT, END_OF_TURN = 96, 98
"""Ids of <|endoftext|> and <|im_end|>."""


def server_flags() -> list[str]:
    """How the profile for CPUs starts vLLM: what is tried is what runs."""
    return list(read(PROFILE)["engines"]["server"]["flags"])


def make(folder: Path, positions: int = POSITIONS) -> Path:
    """Qwen3, hidden 64, 2 layers, head_dim 32 (one that vLLM's CPU attention has)."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = sorted({split.pre_tokenize_str(chr(code))[0][0] for code in [10, *range(32, 127)]})
    characters = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    characters.pre_tokenizer, characters.decoder = split, decoders.ByteLevel()
    characters.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=characters, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=128,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        initializer_range=0.08,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def name_another_end(folder: Path) -> Path:
    """As a base model's folder is: tokenizer and generation_config.json end at <|endoftext|>, the chat template ends turns otherwise."""
    config, own = folder / "tokenizer_config.json", '"eos_token": "<|im_end|>"'
    text = config.read_text(encoding="utf-8")
    assert own in text
    config.write_text(text.replace(own, '"eos_token": "<|endoftext|>"'), encoding="utf-8")
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": END_OF_TEXT, "do_sample": True, "top_k": 20}), encoding="utf-8"
    )
    return folder
