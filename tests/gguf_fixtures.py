"""A small GGUF file with random weights, written by llama.cpp's own writer, and the model that it was made of."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests import model_fixtures

NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
POSITIONS = 128
EMPTY: Mapping[str, str] = MappingProxyType({})


def source(seed: int = 0) -> Any:
    """Qwen2, hidden 64, 2 layers, its output matrix apart from the embedding; one token per character as model_fixtures has."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    shape = Qwen2Config(
        vocab_size=len(tokens()), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96,
        max_position_embeddings=POSITIONS, tie_word_embeddings=False, initializer_range=0.2, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip
    model = Qwen2ForCausalLM(shape).eval()
    for weights in model.parameters():  # biases and norms of their own, so that none can be left out unseen
        weights.data += 0.05 * torch.randn_like(weights)
    return model


def tokens() -> list[str]:
    """Every byte, one merge, and the tags."""
    from tokenizers.pre_tokenizers import ByteLevel

    return [*sorted(ByteLevel.alphabet()), "ab", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write(
    file: Path, model: Any, *, template: str | None = model_fixtures.TEMPLATE, without: str = "", fields: Mapping[str, str] = EMPTY,
    quantized: bool = False,
) -> Path:  # fmt: skip
    """The file; `without` names a tensor that it lacks, `fields` are further ones of its architecture; `quantized`: matrices as Q8_0."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    shape, writer = model.config, GGUFWriter(file, "qwen2")
    writer.add_name("micro")
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_parameters["rope_theta"])
    for name, value in fields.items():
        writer.add_string(f"qwen2.{name}", value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens())
    writer.add_token_types([1] * (len(tokens()) - 3) + [3] * 3)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(len(tokens()) - 1)
    writer.add_pad_token_id(len(tokens()) - 3)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for name, weights in model.state_dict().items():
        if name != without:
            packed = GGMLQuantizationType.Q8_0 if quantized and weights.ndim == 2 else GGMLQuantizationType.F32
            writer.add_tensor(_renamed(name), quantize(weights.numpy(), packed), raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _renamed(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, inside = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[inside]}.{kind}"
    return f"{NAMES[stem]}.{kind}"
