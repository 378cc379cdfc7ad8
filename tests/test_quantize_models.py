"""Quantization: both methods really run, in their own environments, on a two-layer model with random weights.

Needs .envs/awq and .envs/fp8 (`infra/envs/build awq fp8`).
"""

import hashlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Example
from components.lib import checkpoint
from components.lib.engine.chat_template import ChatTokenizer
from components.quantize import calibration, kl_divergence
from components.quantize.methods import awq
from components.quantize.stage import quantize
from tests.quantize_fixtures import ENVS, byte_tokenizer, config, example, make, write_rows


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "start")


@pytest.fixture(scope="module")
def tir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("sft"))


class Made(NamedTuple):
    """One quantization: the model folder and the stage's metrics."""

    model: Path
    metrics: dict[str, Any]


@pytest.fixture(scope="module")
def made(start: Path, tir: Path) -> dict[str, Made]:
    return {
        key: Made(start.parent / key, quantize(config(key), ENVS, start=start, calibration=tir, out=start.parent / key))
        for key in ("awq", "fp8")
    }


def sha256(model: Path) -> str:
    return hashlib.sha256(b"".join(shard.read_bytes() for shard in checkpoint.shards(model))).hexdigest()


@pytest.mark.parametrize(("key", "ratio", "kl"), [("awq", 0.25, 0.1), ("fp8", 0.35, 0.02)])
def test_a_quantized_model_is_smaller_complete_and_close(start: Path, made: dict[str, Made], key: str, ratio: float, kl: float) -> None:
    model, metrics = made[key]
    assert checkpoint.format_of(model) == key
    assert metrics["bytes_before"] == kl_divergence.weight_bytes(start)
    assert metrics["bytes_after"] == kl_divergence.weight_bytes(model)
    assert metrics["ratio"] < ratio
    assert 0 < metrics["kl_divergence"] < kl
    assert 0 < metrics["top1_agreement"] <= 1
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
    again = {key: quantize(config(key), ENVS, start=start, calibration=tir, out=tmp_path / key) for key in made}
    assert {key: one.metrics for key, one in made.items()} == again
    assert {key: sha256(one.model) for key, one in made.items()} == {key: sha256(tmp_path / key) for key in made}


@pytest.mark.parametrize("key", ["awq", "fp8"])
def test_a_quantized_model_generates_as_its_start_does(start: Path, made: dict[str, Made], key: str) -> None:
    wanted, got = (checkpoint.load(model, "float32", "cpu")[0].generation_config for model in (start, made[key].model))
    assert (got.use_cache, got.eos_token_id, got.pad_token_id) == (wanted.use_cache, [2, 0], 0)
    assert got.use_cache is not False


def test_rope_theta_is_kept_for_old_and_new_readers(start: Path, made: dict[str, Made]) -> None:
    wanted = kl_divergence.rotary_frequencies(checkpoint.load(start, "float32", "cpu")[0])
    assert wanted[1] == pytest.approx(1e6 ** (-2 / 32), rel=1e-6)
    for key in made:
        assert kl_divergence.rotary_frequencies(checkpoint.load(made[key].model, "float32", "cpu")[0]) == wanted
    written = checkpoint.read_config(made["awq"].model)
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == 1e6


def test_a_scaled_rope_is_told_to_the_old_reader_where_it_looks() -> None:
    new = {"dtype": "bfloat16", "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0}}
    old = awq.for_transformers_4(new)
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
    assert config("awq").baseline(rounded) == "rtn"
    seen = calibration.sample(tir, ChatTokenizer(tokenizer), seed=1, windows=24, length=32, held_out=8, tokens=64)
    wanted = [first_layer(plain, row) for row in seen.held_out]

    def error(model: Any) -> float:
        return sum(float((first_layer(model, row) - want).square().sum()) for row, want in zip(seen.held_out, wanted, strict=True))

    assert error(calibrated) < 0.8 * error(rounded)
    assert made["awq"].metrics["kl_divergence"] < made["awq"].metrics["kl_divergence_rtn"]


def first_layer(model: Any, row: list[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.tensor([row]), output_hidden_states=True).hidden_states[1]


def test_plain_rounding_errs_by_half_a_step_at_most() -> None:
    import torch

    weight = torch.randn(16, 128, generator=torch.Generator().manual_seed(0))
    step = (weight.reshape(-1, 64).amax(1) - weight.reshape(-1, 64).amin(1)) / 15
    off = (awq.round_to_nearest(weight, 64) - weight).abs().reshape(-1, 64).amax(1)
    assert bool((off <= 1.01 * step).all())  # a whole step at the ends, where the zero point itself was rounded
    assert float((off / step).median()) < 0.75


def test_a_model_has_not_moved_from_itself(start: Path) -> None:
    model, _ = checkpoint.load(start, "float32", "cpu")
    once = kl_divergence.log_probs(model, [[5, 6, 7], [8, 9]])
    assert kl_divergence.divergence(once, once) == (0.0, 1.0)


def test_rows_are_drawn_by_id_and_measured_ones_are_not_calibrated_with(tir: Path, tmp_path: Path) -> None:
    backwards = tmp_path / "examples.parquet"
    rows.write(backwards, reversed([example(i) for i in range(60)]), Example)
    wanted = {"seed": 1, "windows": 40, "length": 400, "held_out": 20, "tokens": 400}
    drawn = calibration.sample(tir, ChatTokenizer(byte_tokenizer()), **wanted)
    assert calibration.sample(tmp_path, ChatTokenizer(byte_tokenizer()), **wanted) == drawn
    assert len({tuple(ids) for ids in drawn.windows} & {tuple(ids) for ids in drawn.held_out}) == 0
    assert calibration.sample(tir, ChatTokenizer(byte_tokenizer()), **{**wanted, "seed": 2}) != drawn


def test_a_long_row_gives_a_window_and_is_not_dropped(tir: Path) -> None:
    drawn = calibration.sample(tir, ChatTokenizer(byte_tokenizer()), seed=1, windows=10, length=16, held_out=1, tokens=8)
    assert [len(window) for window in drawn.windows] == [16] * 10
    assert [len(row) for row in drawn.held_out] == [8]


def test_a_quantized_model_is_not_quantized_again(made: dict[str, Made], tir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is quantized already \(fp8\)"):
        quantize(config("awq"), ENVS, start=made["fp8"].model, calibration=tir, out=tmp_path / "out")
