"""A two-layer model with random weights and rows to calibrate it with: what tests of quantization share.

The model's rope theta is 1e6, which the old transformers would silently lose, and a few channels of its norms are forty times
the others: what AWQ is made for.
"""

import random
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Example, Message
from components.quantize.method import Quantize, QuantizeEnvs

FEEDS = {"start": "genselect", "calibration": "tir"}
PARAMS: dict[str, Any] = {
    "common": {"seed": 1, "device": "cpu", "threads": 1, "kl_divergence": {"num_rows": 8, "num_tokens": 64, "dtype": "float32"}},
    "awq": {
        "method": "awq",
        **FEEDS,
        "bits": 4,
        "group_size": 64,
        "zero_point": True,
        "duo_scaling": False,
        "max_calib_samples": 24,
        "max_calib_seq_len": 32,
    },
    "fp8": {"method": "fp8", **FEEDS, "scheme": "FP8_DYNAMIC"},
}
ENVS = QuantizeEnvs.load(Path(__file__).parents[1])
TEMPLATE = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def config(key: str, **changed: Any) -> Quantize:
    whole = {"quantize": PARAMS["common"], "models": {"quantize": {key: {**PARAMS[key], **changed}}}}
    return Quantize.check(whole, Path("params.yaml"), key)


def make(folder: Path) -> Path:
    """Qwen3, hidden 128, and a tokenizer of bytes."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    shape: dict[str, Any] = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "head_dim": 32,
        "max_position_embeddings": 256,
    }
    heads: dict[str, Any] = {
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    }
    ends: dict[str, Any] = {"eos_token_id": 2, "pad_token_id": 0, "bos_token_id": None}
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=608, tie_word_embeddings=True, initializer_range=0.08, **shape, **heads, **ends))
    with torch.no_grad():
        for layer in model.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight[::32] = 40.0
    model.config.use_cache = False  # as training leaves it: generation must follow generation_config.json
    model.generation_config.eos_token_id = [2, 0]
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def byte_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    outer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    outer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    outer.chat_template = TEMPLATE
    return outer


def example(number: int) -> Example:
    a, b = random.Random(number).sample(range(2, 99), 2)
    chat = [("user", f"What is {a} times {b}?"), ("assistant", f"<tool_call>\nprint({a} * {b})\n</tool_call>\n")]
    chat += [("tool", f"```output\n{a * b}\n```\n"), ("assistant", f"The answer is \\boxed{{{a * b}}}.")]
    messages = tuple(Message.model_validate({"role": role, "content": text, "loss": role == "assistant"}) for role, text in chat)
    return Example(id=f"tir/{number}", problem=f"p/{number}", candidate=0, kind="tir", messages=messages)


def write_rows(folder: Path) -> Path:
    """60 examples."""
    rows.write(folder / "examples.parquet", map(example, range(60)), Example)
    return folder
