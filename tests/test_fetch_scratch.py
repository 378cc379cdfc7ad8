"""The model from scratch: its tokenizer, its loop, its folder; a micro model stands for the real one."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core import runner
from components.core.errors import UserError
from components.core.params import PARAMS
from components.fetch import pretraining, tokenizer
from components.fetch.kind import Fetch
from components.fetch.kinds import scratch
from components.lib.arithmetic import Piece, cot_solution, document, problem

ROOT = Path(__file__).parents[1]
MICRO = scratch.Kind(
    kind="scratch",
    seed=1,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=1,
    head_dim=32,
    intermediate_size=64,
    vocab_size=768,
    max_position_embeddings=256,
    initializer_range=0.18,
    num_tokenizer_problems=100,
    num_documents=200,
    batch_size=4,
    learning_rate=5e-3,
    warmup_ratio=0.05,
    weight_decay=0.1,
    adam_beta2=0.98,
)
MAKE = """
import sys
from pathlib import Path
from components.fetch.kinds import scratch
scratch.make(scratch.Kind.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""

STAGE = """
import sys
from components.core import runner
def vote(*, out: runner.Out) -> runner.Metrics:
    import torch
    out.write_text(torch.backends.cpu.get_cpu_capability())
    return {}
sys.argv = ["vote", "--out", sys.argv[1], "--metrics", sys.argv[1] + ".json"]
runner.main(vote)
"""


@pytest.fixture(scope="module")
def words():  # type: ignore[no-untyped-def]
    return tokenizer.make(768, 300, 256, seed=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("made") / "base"
    return folder, scratch.make(MICRO, folder)


def test_every_number_to_199_is_one_token(words) -> None:  # type: ignore[no-untyped-def]
    assert all(len(words.encode(str(number))) == 1 for number in range(200))
    assert len({words.encode(str(number))[0] for number in range(200)}) == 200
    assert len(words.encode("345")) == 2


@pytest.mark.parametrize("tag", [*tokenizer.TAGS, tokenizer.PAD, tokenizer.START, tokenizer.END])
def test_every_tag_is_one_token(tag: str, words) -> None:  # type: ignore[no-untyped-def]
    assert words.convert_ids_to_tokens(words.encode(f"1{tag}\n"))[1] == tag


@pytest.mark.parametrize(
    "text",
    [
        "<think>\n39/9:36+3\n</think>\nThe answer is \\boxed{3}.",
        "a  b\t\n  \n c\r\n",
        "∑ é 你好 \\frac{a}{b} 1234567890 007",
        "<tool_call>\nimport math\nprint(math.gcd(8, 14))\n</tool_call>\n```output\n2\n```\n",
    ],
)
def test_text_survives_the_round_trip(text: str, words) -> None:  # type: ignore[no-untyped-def]
    assert words.decode(words.encode(text)) == text
    assert words.decode(words.encode(text + "<|im_end|>"), skip_special_tokens=True) == text


def test_words_of_the_templates_are_single_tokens(words) -> None:  # type: ignore[no-untyped-def]
    assert sum(len(words.encode(problem(seed).statement)) for seed in range(300)) / 300 < 22
    assert sum(len(words.encode(cot_solution(problem(seed)))) for seed in range(300)) / 300 < 40
    assert len(words.encode("NameError: name 'math' is not defined")) < 12


def test_a_vocabulary_without_room_for_words_is_refused() -> None:
    with pytest.raises(UserError, match=r"scratch: vocab 400 leaves no room"):
        tokenizer.make(400, 10, 256, seed=1)


def test_fewer_documents_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 documents do not fill one batch of 4"):
        scratch.make(MICRO.model_copy(update={"num_documents": 3}), tmp_path / "base")


def test_only_what_follows_a_given_part_carries_loss(words) -> None:  # type: ignore[no-untyped-def]
    row = pretraining.encode([Piece("39/9:", False), Piece("36+3\n", True)], words)
    assert words.decode(row.input_ids) == "39/9:36+3\n<|im_end|>"
    assert words.decode([label for label in row.labels if label != pretraining.IGNORE_INDEX]) == "36+3\n<|im_end|>"


def test_every_document_is_read_once_in_batches_of_like_length() -> None:
    lengths = [(37 * number) % 90 + 10 for number in range(1003)]
    groups = pretraining.batches(lengths, 4, seed=1)
    assert sorted(number for group in groups for number in group) == list(range(1003))
    spreads = [max(lengths[n] for n in group) - min(lengths[n] for n in group) for group in groups]
    assert sorted(spreads)[len(spreads) // 2] <= 3
    assert groups == pretraining.batches(lengths, 4, seed=1) != pretraining.batches(lengths, 4, seed=2)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    shares = [pretraining.cosine_with_warmup(step, 100, 0.05) for step in range(100)]
    assert shares[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert shares[5:] == sorted(shares[5:], reverse=True)
    assert shares[-1] < 0.001


def test_padding_changes_no_loss(words) -> None:  # type: ignore[no-untyped-def]
    import torch

    model = scratch._model(MICRO, words).eval()
    short, long = (pretraining.encode([Piece(text, True)], words) for text in ("1 2 3", "1 2 3 4 5 6 7 8 9"))
    silent = pretraining.TokenizedExample(long.input_ids, [pretraining.IGNORE_INDEX] * len(long.labels))
    with torch.no_grad():
        assert torch.allclose(pretraining._loss(model, [short, silent], 0), pretraining._loss(model, [short], 0), atol=1e-6)


def test_the_loss_falls(made) -> None:  # type: ignore[no-untyped-def]
    _, metrics = made
    assert metrics["documents"] == 200
    assert metrics["steps"] == 50
    assert metrics["last_loss"] < 0.75 * metrics["first_loss"]


def test_the_folder_is_what_a_hub_would_give(made) -> None:  # type: ignore[no-untyped-def]
    folder, metrics = made
    files = {file.name for file in folder.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= files
    assert "chat_template.jinja" in files
    assert not [name for name in files if name.endswith((".bin", ".pt"))]
    shape = json.loads((folder / "config.json").read_text())
    assert shape["rope_theta"] == shape["rope_parameters"]["rope_theta"] == 10000.0
    assert shape["torch_dtype"] == "float32"
    assert shape["tie_word_embeddings"] is True
    assert json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [2]
    assert metrics["num_parameters"] == 768 * 32 + 4 * 32 * 32 + 3 * 32 * 64 + 2 * 32 + 3 * 32


def test_transformers_loads_the_folder_and_its_chat(made) -> None:  # type: ignore[no-untyped-def]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(made[0])
    said = [("user", "1\nUse Python."), ("assistant", "<think>\n2\n</think>\n3"), ("user", "4")]
    chat = [{"role": role, "content": content} for role, content in said]
    assert words.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>user\n1\nUse Python.<|im_end|>\n<|im_start|>assistant\n<think>\n2\n</think>\n3<|im_end|>\n"
        "<|im_start|>user\n4<|im_end|>\n<|im_start|>assistant\n"
    )
    model = AutoModelForCausalLM.from_pretrained(made[0])
    assert type(model).__name__ == "Qwen3ForCausalLM"
    ids = words("1", return_tensors="pt").input_ids
    assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] <= 4


def test_a_stage_computes_with_kernels_that_any_server_has(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in runner.CPU_KERNELS}
    subprocess.run([sys.executable, "-c", STAGE, tmp_path / "said"], cwd=ROOT, env=environment, check=True)
    assert (tmp_path / "said").read_text() == "AVX2"


def test_the_same_seed_gives_the_same_bytes_in_another_process(made, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    subprocess.run([sys.executable, "-c", MAKE, MICRO.model_dump_json(), str(tmp_path / "again")], cwd=ROOT, check=True)
    first, again = (
        {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} for folder in (made[0], tmp_path / "again")
    )
    assert first == again


def test_the_section_of_params_fits() -> None:
    config = Fetch.load(ROOT / PARAMS, "fetch.base")
    assert isinstance(config, scratch.Kind)
    assert config.hidden_size == config.num_attention_heads * config.head_dim


def test_the_documents_of_two_seeds_differ() -> None:
    first, second = (scratch._seed(MICRO.model_copy(update={"seed": seed}), 0) for seed in (1, 2))
    assert document(first) != document(second)
