"""What cannot be quantized is refused with its cure, and a worker that fails is quoted, leaves with its stage and knows no secret.

Needs .envs/awq (`infra/envs/build awq`).
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.lib import checkpoint
from components.quantize import worker
from components.quantize.method import QuantizeEnvs
from components.quantize.stage import quantize
from tests.quantize_fixtures import ENVS, config, make, write_rows


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "start")


@pytest.fixture(scope="module")
def tir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("sft"))


@pytest.mark.parametrize(
    ("key", "changed", "says"),
    [
        ("awq", {"grup": 64}, r"quantize\.awq: unknown key 'grup', did you mean 'group_size'"),
        ("awq", {"bits": 3}, r"quantize\.awq\.bits: Input should be 4 \(found: 3\)"),
        ("awq", {"zero_point": False}, r"quantize\.awq\.zero_point"),
        ("fp8", {"group_size": 64}, r"quantize\.fp8: unknown key 'group_size'"),
        ("fp8", {"scheme": "FP8"}, r"quantize\.fp8\.scheme"),
        (
            "fp8",
            {"kl_divergence": {"num_rows": 1, "num_tokens": 8}},
            r"quantize\.fp8\.kl_divergence: 'dtype' is missing",
        ),
    ],
)
def test_a_wrong_entry_is_refused_by_its_key(key: str, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        config(key, **changed)


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(
        UserError, match=r"quantize\.awq\.method: no method of quantization 'awk', did you mean 'awq'\?; there are: awq, fp8"
    ):
        config("awq", method="awk")


@pytest.mark.parametrize(
    ("key", "changed", "says"),
    [
        ("awq", {"group_size": 96}, r"quantize\.awq\.group_size: 96 does not divide 256, the inputs of model\.layers\.0"),
        ("awq", {"max_calib_samples": 53}, r"examples\.parquet: 60 rows, but quantize wants 8 to measure on and 53 others"),
        (
            "awq",
            {"max_calib_samples": 1, "max_calib_seq_len": 400},
            r"quantize\.awq\.max_calib_seq_len: 400, but the calibration rows hold only",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_cure(
    start: Path, tir: Path, tmp_path: Path, key: str, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        quantize(config(key, **changed), ENVS, start=start, calibration=tir, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("envs", "says"),
    [
        ({"awq": ".envs/awk"}, r"\.envs/awk: no such environment; build it with `infra/envs/build awk`"),
        ({"fp8": ".envs/fp8"}, r"machine\.yaml: quantize\.envs: no environment for 'awq'; there are: fp8"),
    ],
)
def test_an_environment_that_is_not_there_is_named_with_its_cure(
    start: Path, tir: Path, tmp_path: Path, envs: dict[str, str | None], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        quantize(config("awq"), QuantizeEnvs(envs=envs), start=start, calibration=tir, out=tmp_path / "out")


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


def test_a_worker_that_sees_another_rope_theta_stops_before_it_calibrates(start: Path, tmp_path: Path) -> None:
    shutil.copytree(start, tmp_path / "lost")  # as transformers 5 wrote it: transformers 4 finds no rope_theta in there
    wanted = [1e6 ** (-2 * i / 32) for i in range(16)]
    (tmp_path / "blocks.json").write_text(json.dumps([[5] * 32]))
    job = {"model": str(tmp_path / "lost"), "blocks": str(tmp_path / "blocks.json"), "out": str(tmp_path / "out"), "inv_freq": wanted}
    with pytest.raises(RuntimeError, match="rotary frequencies differ"):
        worker.run(
            ".envs/awq", "awq", {**job, "dtype": "float32", "bits": 4, "group_size": 64, "zero_point": True, "duo_scaling": False}, 1, "cpu"
        )


def test_a_failed_worker_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"awq_worker\.py in .* failed with 1; its last lines:(.|\n)*No module named 'awq'"):
        worker.run(None, "awq", {"model": str(tmp_path)}, 1, "cpu")


def test_a_worker_leaves_when_its_stage_is_gone() -> None:
    process = Path(worker.__file__).with_name("fp8_worker.py")
    ended = subprocess.run(
        [sys.executable, "-P", str(process), "{}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_worker_inherits_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    given = worker._environment("/nowhere", 3)
    assert "secret" not in given.values()
    assert (given["OMP_NUM_THREADS"], given["HF_HUB_OFFLINE"]) == ("3", "1")
