"""Quantization: both methods really run, in their own environments, on a two-layer model with random weights.

The model's rope theta is 1e6, which the old transformers would silently lose, and a few channels of its norms are forty times
the others: what AWQ is made for. Needs .envs/awq and .envs/fp8 (`infra/envs/build awq fp8`).
"""

import hashlib
import importlib.util
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Example, Message
from components.lib import checkpoint
from components.quantize import calibration, fidelity, isolated
from components.quantize.method import Quantize
from components.quantize.methods import awq
from components.quantize.stage import quantize

PARAMS: dict[str, Any] = {
    "common": {"seed": 1, "threads": 1, "measure": {"rows": 8, "tokens": 64, "dtype": "float32", "device": "cpu"}},
    "awq": {"bits": 4, "group": 64, "zero_point": True, "duo_scaling": False, "samples": 24, "length": 32, "env": ".envs/awq"},
    "fp8": {"scheme": "FP8_DYNAMIC", "env": ".envs/fp8"},
}
TEMPLATE = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


class Made(NamedTuple):
    """One quantization: the model folder and the stage's metrics."""

    model: Path
    metrics: dict[str, Any]


def config(key: str, **changed: Any) -> Quantize:
    return Quantize.check({"quantize": {**PARAMS, key: {**PARAMS[key], **changed}}}, Path("params.yaml"), key)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("models") / "start"
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
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
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


@pytest.fixture(scope="module")
def tir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sft")
    rows.write(folder / "examples.parquet", map(example, range(60)), Example)
    return folder


@pytest.fixture(scope="module")
def made(start: Path, tir: Path) -> dict[str, Made]:
    return {
        key: Made(start.parent / key, quantize(config(key), start=start, calibration=tir, out=start.parent / key)) for key in ("awq", "fp8")
    }


def sha256(model: Path) -> str:
    return hashlib.sha256(b"".join(shard.read_bytes() for shard in checkpoint.shards(model))).hexdigest()


@pytest.mark.parametrize(("key", "ratio", "kl"), [("awq", 0.25, 0.1), ("fp8", 0.35, 0.02)])
def test_a_quantized_model_is_smaller_complete_and_close(start: Path, made: dict[str, Made], key: str, ratio: float, kl: float) -> None:
    model, metrics = made[key]
    assert checkpoint.format_of(model) == key
    assert metrics["bytes_before"] == fidelity.weight_bytes(start)
    assert metrics["bytes_after"] == fidelity.weight_bytes(model)
    assert metrics["ratio"] < ratio
    assert 0 < metrics["kl"] < kl
    assert 0 < metrics["top1"] <= 1
    same = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
    assert [name for name in same if (model / name).read_bytes() != (start / name).read_bytes()] == []
    assert sorted(p.name for p in model.iterdir()) == sorted(p.name for p in start.iterdir())


@pytest.mark.parametrize("key", ["awq", "fp8"])
def test_nothing_but_scales_stays_in_32_bits(made: dict[str, Made], key: str) -> None:
    from safetensors.torch import load_file

    tensors = load_file(made[key].model / "model.safetensors")
    wide = {name.rsplit(".", 1)[1] for name, tensor in tensors.items() if tensor.element_size() == 4}
    assert wide == ({"qweight", "qzeros"} if key == "awq" else {"weight_scale"})


def test_the_same_inputs_give_the_same_bytes(start: Path, tir: Path, made: dict[str, Made], tmp_path: Path) -> None:
    again = {key: quantize(config(key), start=start, calibration=tir, out=tmp_path / key) for key in made}
    assert {key: one.metrics for key, one in made.items()} == again
    assert {key: sha256(one.model) for key, one in made.items()} == {key: sha256(tmp_path / key) for key in made}


@pytest.mark.parametrize("key", ["awq", "fp8"])
def test_a_quantized_model_generates_as_its_start_does(start: Path, made: dict[str, Made], key: str) -> None:
    wanted, got = (checkpoint.load(model, "float32", "cpu")[0].generation_config for model in (start, made[key].model))
    assert (got.use_cache, got.eos_token_id, got.pad_token_id) == (wanted.use_cache, [2, 0], 0)
    assert got.use_cache is not False


def test_rope_theta_is_kept_for_old_and_new_readers(start: Path, made: dict[str, Made]) -> None:
    wanted = fidelity.rotary(checkpoint.load(start, "float32", "cpu")[0])
    assert wanted[1] == pytest.approx(1e6 ** (-2 / 32), rel=1e-6)
    for key in made:
        assert fidelity.rotary(checkpoint.load(made[key].model, "float32", "cpu")[0]) == wanted
    written = checkpoint.read_config(made["awq"].model)
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == 1e6


def test_a_worker_that_sees_another_rope_theta_stops_before_it_calibrates(start: Path, tmp_path: Path) -> None:
    shutil.copytree(start, tmp_path / "lost")  # as transformers 5 wrote it: transformers 4 finds no rope_theta in there
    wanted = [1e6 ** (-2 * i / 32) for i in range(16)]
    (tmp_path / "blocks.json").write_text(json.dumps([[5] * 32]))
    job = {"model": str(tmp_path / "lost"), "blocks": str(tmp_path / "blocks.json"), "out": str(tmp_path / "out"), "inv_freq": wanted}
    with pytest.raises(RuntimeError, match="rotary frequencies differ"):
        isolated.run(".envs/awq", "awq", {**job, "bits": 4, "group": 64, "zero_point": True, "duo_scaling": False}, 1)


def test_a_scaled_rope_is_told_to_the_old_reader_where_it_looks() -> None:
    new = {"dtype": "bfloat16", "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}}
    old = awq.older(new)
    assert (old["rope_theta"], old["rope_scaling"], old["torch_dtype"]) == (1e6, {"rope_type": "yarn", "factor": 4.0}, "bfloat16")


def test_unpacking_equals_the_definition_and_autoawqs_own(made: dict[str, Made]) -> None:
    import torch
    from safetensors.torch import load_file

    path = next(Path(".envs/awq").glob("lib/*/site-packages/awq/utils/packing_utils.py"))
    spec = importlib.util.spec_from_file_location("packing_utils", path)
    assert spec
    assert spec.loader
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    tensors = load_file(made["awq"].model / "model.safetensors")
    name = "model.layers.1.mlp.down_proj"
    qweight, qzeros, scales = (tensors[f"{name}.{part}"] for part in ("qweight", "qzeros", "scales"))
    ours = checkpoint.unpack(qweight, qzeros, scales, 64)
    assert tuple(ours.shape) == (128, 256)
    assert torch.equal(ours.half(), theirs.dequantize_gemm(qweight, qzeros, scales, 4, 64).T)
    order = [0, 2, 4, 6, 1, 3, 5, 7]  # the packer's: nibble i of a word is output 8 * word + order[i]
    for inputs, outputs in [(0, 0), (63, 1), (64, 7), (100, 66), (255, 127)]:
        word, nibble = outputs // 8, order.index(outputs % 8)
        level = int(qweight[inputs, word]) >> 4 * nibble & 15
        zero = int(qzeros[inputs // 64, word]) >> 4 * nibble & 15
        assert float(ours[outputs, inputs]) == (level - zero) * float(scales[inputs // 64, outputs])


def test_every_weight_of_a_packed_file_must_find_its_place(made: dict[str, Made], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(made["awq"].model, tmp_path / "broken")
    tensors = load_file(tmp_path / "broken" / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "broken" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"do not fit.*model\.norm\.weight"):
        checkpoint.load(tmp_path / "broken", "float32", "cpu")


def test_awq_disturbs_a_layers_output_less_than_plain_rounding(start: Path, tir: Path, made: dict[str, Made]) -> None:
    plain, tokenizer = checkpoint.load(start, "float32", "cpu")
    rounded, calibrated = checkpoint.load(start, "float32", "cpu")[0], checkpoint.load(made["awq"].model, "float32", "cpu")[0]
    assert config("awq").yardstick(rounded) == "rounding"
    seen = calibration.draw(tir, tokenizer, seed=1, windows=24, length=32, measured=8, tokens=64)
    wanted = [first_layer(plain, row) for row in seen.measured]

    def error(model: Any) -> float:
        return sum(float((first_layer(model, row) - want).square().sum()) for row, want in zip(seen.measured, wanted, strict=True))

    assert error(calibrated) < 0.8 * error(rounded)
    assert made["awq"].metrics["kl"] < made["awq"].metrics["kl_rounding"]


def first_layer(model: Any, row: list[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.tensor([row]), output_hidden_states=True).hidden_states[1]


def test_plain_rounding_errs_by_half_a_step_at_most() -> None:
    import torch

    weight = torch.randn(16, 128, generator=torch.Generator().manual_seed(0))
    step = (weight.reshape(-1, 64).amax(1) - weight.reshape(-1, 64).amin(1)) / 15
    off = (awq.nearest(weight, 64) - weight).abs().reshape(-1, 64).amax(1)
    assert bool((off <= 1.01 * step).all())  # a whole step at the ends, where the zero point itself was rounded
    assert float((off / step).median()) < 0.75


def test_a_model_has_not_moved_from_itself(start: Path) -> None:
    model, _ = checkpoint.load(start, "float32", "cpu")
    once = fidelity.predictions(model, [[5, 6, 7], [8, 9]])
    assert fidelity.moved(once, once) == (0.0, 1.0)


def test_rows_are_drawn_by_id_and_measured_ones_are_not_calibrated_with(tir: Path, tmp_path: Path) -> None:
    backwards = tmp_path / "examples.parquet"
    rows.write(backwards, reversed([example(i) for i in range(60)]), Example)
    wanted = {"seed": 1, "windows": 40, "length": 400, "measured": 20, "tokens": 400}
    drawn = calibration.draw(tir, _tokenizer(), **wanted)
    assert calibration.draw(tmp_path, _tokenizer(), **wanted) == drawn
    assert len({tuple(ids) for ids in drawn.windows} & {tuple(ids) for ids in drawn.measured}) == 0
    assert calibration.draw(tir, _tokenizer(), **{**wanted, "seed": 2}) != drawn


def test_a_long_row_gives_a_window_and_is_not_dropped(tir: Path) -> None:
    drawn = calibration.draw(tir, _tokenizer(), seed=1, windows=10, length=16, measured=1, tokens=8)
    assert [len(window) for window in drawn.windows] == [16] * 10
    assert [len(row) for row in drawn.measured] == [8]


@pytest.mark.parametrize(
    ("key", "changed", "says"),
    [
        ("awq", {"grup": 64}, r"quantize\.awq: unknown key 'grup', did you mean 'group'"),
        ("awq", {"bits": 3}, r"quantize\.awq\.bits: Input should be 4 \(found: 3\)"),
        ("awq", {"zero_point": False}, r"quantize\.awq\.zero_point"),
        ("fp8", {"group": 64}, r"quantize\.fp8: unknown key 'group'"),
        ("fp8", {"scheme": "FP8"}, r"quantize\.fp8\.scheme"),
        ("fp8", {"measure": {"rows": 1, "tokens": 8, "dtype": "float32"}}, r"quantize\.fp8\.measure: 'device' is missing"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_key(key: str, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config(key, **changed)


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no such method of quantization, did you mean 'awq'\?; there are: awq, fp8"):
        Quantize.check({"quantize": PARAMS}, Path("params.yaml"), "awk")


@pytest.mark.parametrize(
    ("key", "changed", "says"),
    [
        ("awq", {"env": ".envs/awk"}, r"\.envs/awk: no such environment; build it with `infra/envs/build awk`"),
        ("awq", {"group": 96}, r"quantize\.awq\.group: 96 does not divide 256, the inputs of model\.layers\.0"),
        ("awq", {"samples": 53}, r"examples\.parquet: 60 rows, but quantize wants 8 to measure on and 53 others"),
        ("awq", {"samples": 1, "length": 400}, r"quantize\.awq\.length: 400, but the calibration rows hold only"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_cure(
    start: Path, tir: Path, tmp_path: Path, key: str, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        quantize(config(key, **changed), start=start, calibration=tir, out=tmp_path / "out")


def test_a_quantized_model_is_not_quantized_again(made: dict[str, Made], tir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is quantized already \(fp8\)"):
        quantize(config("awq"), start=made["fp8"].model, calibration=tir, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("lacks", "gets", "says"),
    [
        ("config.json", None, "no config.json"),
        ("tokenizer*", None, "no tokenizer in it"),
        ("model.safetensors", None, r"no \*\.safetensors"),
        ("model.safetensors", "pytorch_model.bin", r"pickled \(\.bin\) only"),
    ],
)
def test_an_incomplete_model_says_what_it_lacks(start: Path, tmp_path: Path, lacks: str, gets: str | None, says: str) -> None:
    shutil.copytree(start, tmp_path / "model")
    for path in (tmp_path / "model").glob(lacks):
        path.unlink()
    if gets:
        (tmp_path / "model" / gets).touch()
    with pytest.raises(UserError, match=says):
        checkpoint.load(tmp_path / "model", "float32", "cpu")


def test_a_failed_worker_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"awq_worker\.py in .* failed with 1; its last lines:(.|\n)*No module named 'awq'"):
        isolated.run(None, "awq", {"model": str(tmp_path)}, 1)


def test_a_worker_leaves_when_its_stage_is_gone() -> None:
    worker = Path(isolated.__file__).with_name("fp8_worker.py")
    ended = subprocess.run(
        [sys.executable, "-P", str(worker), "{}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_worker_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    given = isolated._environment("/nowhere", 3)
    assert "secret" not in given.values()
    assert (given["OMP_NUM_THREADS"], given["HF_HUB_OFFLINE"]) == ("3", "1")
