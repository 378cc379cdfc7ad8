"""A GGUF file becomes a model folder of the same tensors, and one that would become another model is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.lib import checkpoint
from components.lib.engine.config import EngineHosts
from tests import gguf_fixtures, model_fixtures
from tests.import_fixtures import OUT, asked, imported, opened, refused, written
from tests.stage_fixtures import filled


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return filled(tmp_path, monkeypatch)


GGUF = {"kind": "gguf", "path": "mine.gguf", "dtype": "float32", "tie_word_embeddings": False}


@pytest.fixture(scope="module")
def source() -> Any:
    return gguf_fixtures.source()


def tensors(model: Any) -> dict[str, Any]:
    return dict(model.state_dict())


def test_a_gguf_file_becomes_the_model_that_it_was_made_of(home: Path, source: Any) -> None:
    import torch

    gguf_fixtures.write(Path("mine.gguf"), source)
    imported(**GGUF)
    model, tokenizer = checkpoint.load(OUT, "float32", "cpu")
    assert tensors(model).keys() == tensors(source).keys()
    assert all(torch.equal(weights, tensors(source)[name]) for name, weights in tensors(model).items())
    ids = torch.arange(24)[None]
    assert torch.equal(model(ids).logits, source(ids).logits)
    assert checkpoint.format_of(OUT) is None
    assert json.loads(Path("m.json").read_text(encoding="utf-8"))["num_parameters"] == sum(w.numel() for w in source.parameters())
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == len(gguf_fixtures.tokens()) - 1
    assert model.config.max_position_embeddings == gguf_fixtures.POSITIONS


def test_the_tokenizer_and_the_chat_template_come_along(home: Path, source: Any) -> None:
    gguf_fixtures.write(Path("mine.gguf"), source)
    written(**GGUF)
    engine = opened("transformers", EngineHosts.load())
    assert asked(engine).num_tokens > 0
    tokenizer = engine._chat.tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("<|im_start|>ab\n12")) == ["<|im_start|>", "ab", "Ċ", "1", "2"]
    text = "∑ é 你好 \\frac{a}{b}  12<|im_end|>\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], add_generation_prompt=True, tokenize=False)
    assert rendered == "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"


def test_the_same_gguf_file_gives_the_same_bytes(home: Path, source: Any) -> None:
    gguf_fixtures.write(Path("mine.gguf"), source)
    one, two = (
        {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in written(Path(name), **GGUF).iterdir()} for name in ("1", "2")
    )
    assert one == two


def test_quantized_tensors_are_dequantized(home: Path, source: Any) -> None:
    import gguf
    import torch

    gguf_fixtures.write(Path("mine.gguf"), source, quantized=True)
    written(**GGUF)
    model, _ = checkpoint.load(OUT, "float32", "cpu")
    packed = gguf.quants.quantize(source.lm_head.weight.detach().numpy(), gguf.GGMLQuantizationType.Q8_0)
    expected = torch.from_numpy(gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0))
    assert torch.equal(model.lm_head.weight, expected) and not torch.equal(expected, source.lm_head.weight)


def test_a_tied_model_drops_the_output_matrix(home: Path, source: Any) -> None:
    import torch
    from safetensors.torch import load_file

    gguf_fixtures.write(Path("mine.gguf"), source)
    written(**{**GGUF, "tie_word_embeddings": True, "dtype": "bfloat16"})
    stored = load_file(OUT / "model.safetensors")
    assert "lm_head.weight" not in stored and {weights.dtype for weights in stored.values()} == {torch.bfloat16}
    model, _ = checkpoint.load(OUT, "bfloat16", "cpu")
    assert torch.equal(model.lm_head.weight, source.model.embed_tokens.weight.to(torch.bfloat16))


def test_a_file_without_an_output_matrix_is_tied_whatever_is_asked(home: Path, source: Any) -> None:
    gguf_fixtures.write(Path("mine.gguf"), source, without="lm_head.weight")
    written(**GGUF)
    assert checkpoint.read_config(OUT)["tie_word_embeddings"] is True


def test_what_lies_beside_the_file_is_not_read(home: Path, source: Any) -> None:
    gguf_fixtures.write(Path("mine.gguf"), source)
    Path("generation_config.json").write_text('{"eos_token_id": [1, 2], "temperature": 0.1}', encoding="utf-8")
    Path("tokenizer_config.json").write_text('{"chat_template": "other"}', encoding="utf-8")
    written(**GGUF)
    assert "temperature" not in json.loads((OUT / "generation_config.json").read_text(encoding="utf-8"))
    assert (OUT / "chat_template.jinja").read_text(encoding="utf-8") == model_fixtures.TEMPLATE


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"without": "model.layers.1.mlp.up_proj.weight"}, r"mine\.gguf: lacks 1 tensors .*\(model\.layers\.1\.mlp\.up_proj\.weight\)"),
        ({"template": None}, r"mine\.gguf: holds no chat template.*take a file of an instruct model"),
        ({"fields": {"rope.scaling.type": "yarn"}}, r"mine\.gguf: stretches its positions \(yarn\)"),
    ],
)  # fmt: skip
def test_a_file_that_would_make_another_model_is_refused(home: Path, source: Any, made: dict[str, Any], said: str) -> None:
    gguf_fixtures.write(Path("mine.gguf"), source, **made)
    with pytest.raises(UserError, match=said):
        written(**GGUF)


@pytest.mark.parametrize("damage", ["no GGUF", "cut in its header", "cut in its tensors", "another architecture"])
def test_a_file_that_is_no_gguf_model_is_refused_with_the_cure(home: Path, source: Any, damage: str) -> None:
    file = gguf_fixtures.write(Path("mine.gguf"), source)
    whole = file.read_bytes()
    file.write_bytes(
        {
            "no GGUF": b"PK\x03\x04" + bytes(4096),
            "cut in its header": whole[:3000],
            "cut in its tensors": whole[: len(whole) // 2],
            "another architecture": whole.replace(b"qwen2", b"qwenX"),
        }[damage]
    )
    with pytest.raises(UserError, match=r"mine\.gguf: transformers reads no GGUF model in it .*; download it again, or take another file"):
        written(**GGUF)


def test_a_file_that_is_not_there_is_told_by_its_key(home: Path) -> None:
    assert "mine.gguf: no such file, but params.yaml names it" in refused(**GGUF)
