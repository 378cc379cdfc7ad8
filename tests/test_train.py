"""Training: what carries loss, and that a killed stage ends in the same bytes."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.compose.kind import assistant_turn, user_message
from components.core import rows
from components.core.errors import UserError
from components.core.types import Candidate, Example
from components.lib import checkpoint, model_contamination, prompts, tokenization
from components.lib.engine.chat_template import ChatTokenizer
from components.train.finetune import TrainLaunch, _rehearsal_rows
from components.train.stage import Train, train
from tests import model_fixtures
from tests.row_fixtures import candidate, problem, run

ROOT = Path(__file__).parents[1]
CONFIG = {
    "start": "base",
    "data": "tir",
    "rehearsal": "cot",
    "seed": 1,
    "num_processes": 1,
    "device": "cpu",
    "dtype": "float32",
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "weight_decay": 0.1,
    "adam_beta2": 0.98,
    "max_grad_norm": 1.0,
    "max_length": 400,
    "num_checkpoints": 4,
    "gradient_checkpointing": False,
    "packing": False,
    "num_rehearsal_rows": 0,
}
LOTS = [(0, 1), (10, 1), (10, 2), (100, 1)]


def examples() -> list[Example]:
    tried = [(i, run(f"print({i} + 4)", str(i + 4))) for i in range(40)]
    return [example(candidate(i + 4, f"p{i}", runs=(cell,)), problem(f"p{i}", i + 4).statement) for i, cell in tried]


def example(one: Candidate, statement: str) -> Example:
    question = user_message(prompts.render("tir", statement=statement))
    return Example(id=f"tir/{one.problem}", problem=one.problem, candidate=one.index, kind="tir", messages=(question, *assistant_turn(one)))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    model_fixtures.make(folder / "model")
    (folder / "data").mkdir()
    rows.write(folder / "data" / "examples.parquet", examples(), Example)
    (folder / "data" / "stats.json").write_text('{"contaminated_by": {"olympic": 2}}')
    return folder


def config(**over: object) -> Train:
    return Train.model_validate({**CONFIG, **over})


def tuned(folder: Path, name: str, launch: Path = ROOT / "infra/launch/one.yaml", **over: object) -> dict[str, Any]:
    """Runs the stage."""
    work = folder / f"work-{name}"
    work.mkdir(exist_ok=True)
    inputs = {"data": folder / "data", "rehearsal": folder / "rehearsal", "start": folder / "model", "gate": folder}
    return train(config(**over), TrainLaunch(launch=str(launch)), **inputs, out=folder / name, losses=folder / f"{name}.csv", work=work)


def trained(folder: Path, name: str, **over: Any) -> tuple[str, str]:
    """Hashes of the weights and of the loss curve."""
    tuned(folder, name, **over)
    out, losses = folder / name, folder / f"{name}.csv"
    return tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "model.safetensors", losses))  # type: ignore[return-value]


def test_code_output_and_prompt_carry_no_loss_and_the_end_of_the_turn_does(start: Path) -> None:
    chat = ChatTokenizer.load(start / "model")
    row = tokenization.encode(examples()[3], chat)
    learnt = chat.decode([label for label in row.labels if label != tokenization.IGNORE_INDEX])
    assert learnt.endswith("The answer is \\boxed{7}.<|im_end|>")
    assert "print(3 + 4)" in learnt and "```output" not in learnt and "Use Python" not in learnt
    assert "```output\n7\n```" in chat.decode(row.input_ids)


def test_a_base_model_learns_to_end_its_turn_as_its_chat_template_does(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tokenizer and its generation_config.json name another end: a base model's."""
    monkeypatch.chdir(start)
    based = start / "based"
    shutil.copytree(start / "data", based / "data")
    model_fixtures.name_another_end(shutil.copytree(start / "model", based / "model"))
    tuned(based, "out", num_train_epochs=1, num_checkpoints=0)
    told = json.loads((based / "out/generation_config.json").read_text(encoding="utf-8"))
    assert told == {"eos_token_id": [model_fixtures.END_OF_TURN, model_fixtures.END_OF_TEXT], "do_sample": True, "top_k": 20}
    row = tokenization.encode(examples()[3], ChatTokenizer.load(based / "out"))
    assert row.labels[-1] == model_fixtures.END_OF_TURN


def test_rows_of_an_earlier_set_are_mixed_in_by_lot(tmp_path: Path) -> None:
    earlier = examples()
    rows.write(tmp_path / "examples.parquet", earlier, Example)
    drawn = [
        [row.id for row in _rehearsal_rows(config(num_rehearsal_rows=num, seed=seed), tmp_path / "examples.parquet")] for num, seed in LOTS
    ]
    assert [len(ids) for ids in drawn] == [0, 10, 10, 40]
    assert drawn[1] != drawn[2] and drawn[1] == drawn[3][:10] and sorted(drawn[3]) == sorted(row.id for row in earlier)


def test_a_rehearsing_training_learns_both_sets(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(start)
    (start / "rehearsal").mkdir()
    rows.write(start / "rehearsal" / "examples.parquet", examples()[:8], Example)
    alone, both = (tuned(start, f"r{num}", num_rehearsal_rows=num) for num in (0, 8))
    assert (alone["rows"], both["rows"]) == (40, 48) and both["steps"] > alone["steps"]


def test_a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_bytes(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(start)
    between_logs = {"num_train_epochs": 10, "num_checkpoints": 6}  # of 200 steps each second one is logged, each 29th kept
    whole = trained(start, "whole", **between_logs)
    assert model_contamination.of(start / "whole") == {"olympic": 2}
    victim = subprocess.Popen(
        [sys.executable, "-c", f"from tests.test_train import *; trained(Path({str(start)!r}), 'killed', **{between_logs})"],
        cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    while not list((start / "work-killed").glob("checkpoint-*/complete")):
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    shutil.rmtree(start / "killed", ignore_errors=True)
    assert trained(start, "killed", **between_logs) == whole


TWO = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU # the launcher for CPUs wants mpirun
use_cpu: true
num_machines: 1
num_processes: 2
main_process_port: 0
"""


def test_two_processes_share_the_rows_and_one_model_comes_out(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (start / "two.yaml").write_text(TWO)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    trained(start, "two", launch=start / "two.yaml", num_processes=2, dtype="bfloat16")
    curve = [row.split(",") for row in (start / "two.csv").read_text().splitlines()[1:]]
    assert [int(row[0]) for row in curve] == list(range(1, 21))  # 40 rows, twice, by 2 rows of 2 processes
    assert float(curve[-1][1]) < float(curve[0][1])
    model, _ = checkpoint.load(start / "two", "float32", "cpu")
    assert checkpoint.read_config(start / "two")["dtype"] == "bfloat16" and model.config.use_cache
    assert (start / "two/model.safetensors").stat().st_size < 0.6 * (start / "model/model.safetensors").stat().st_size


def test_packed_rows_are_fewer_steps(start: Path) -> None:
    trained(start, "packed", packing=True, num_train_epochs=1)
    assert 1 <= len((start / "packed.csv").read_text().splitlines()) - 1 < 20


@pytest.mark.parametrize(
    ("launch", "over", "says"),
    [
        ("distributed_type: MULTI_GPU\n", {}, r"launch.yaml: names no `num_processes`"),
        (TWO, {"num_processes": 8}, r"launch.yaml starts 2 processes, params.yaml: train.\*.num_processes is 8"),
        (TWO, {"max_length": 2}, r"launch.yaml: a training of 2 processes ended with code 1; what they said stands above"),
        (TWO.replace("MULTI_GPU", "MULTI_CPU"), {}, r"launch.yaml: a training of 2 processes ended with code 1"),
    ],
)
def test_a_launch_that_fails_names_its_file(
    launch: str, over: dict[str, object], says: str, start: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (start / "launch.yaml").write_text(launch)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(UserError, match=says):
        trained(start, "none", launch=start / "launch.yaml", **{"num_processes": 2, **over})
    if "MULTI_CPU" in launch:
        assert "1 process started instead of 2" in capfd.readouterr().err
