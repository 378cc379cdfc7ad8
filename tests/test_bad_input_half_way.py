"""A command that ends half-way, on a full disk or at Ctrl-C: one line says why, nothing is half-written, an earlier output stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.core import rows, runner
from components.core.types import Candidate, Problem
from components.lib import arithmetic
from tests.row_fixtures import problem
from tests.stage_fixtures import ROOT, Folder, environment, filled, run, words, write_params


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return filled(tmp_path, monkeypatch)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only a privileged user can mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def many_votes() -> list[str]:
    """Votes that weigh more than 100 kB, as their ids do not compress."""
    names = [os.urandom(200).hex() for _ in range(600)]
    rows.write(Path("problems.parquet"), [problem(name) for name in names], Problem)
    rows.write(Path("candidates.parquet"), [], Candidate)
    write_params(lambda whole: whole["vote"].update(strategies=["majority"]))
    return words("vote")


def test_a_full_disk_is_one_line_and_leaves_the_earlier_output(folder: Folder, small_disk: Path) -> None:
    out = small_disk / "out.parquet"
    out.write_bytes(b"of an earlier run")
    ran = run("vote", *(str(out) if word == "out.parquet" else word for word in many_votes()))
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: the disk is full (")
    assert "No space left on device" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert [(path.name, path.read_bytes()) for path in small_disk.iterdir()] == [("out.parquet", b"of an earlier run")]


def test_weights_that_do_not_fit_the_disk_are_one_line_too(folder: Folder, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vote(*, out: runner.Out) -> runner.Metrics:
        import numpy as np
        from safetensors.numpy import save_file

        out.mkdir()
        save_file({"weight": np.ones(100_000)}, out / "model.safetensors")
        return {}

    monkeypatch.setattr(sys, "argv", ["vote", "--out", str(small_disk / "model"), "--metrics", "metrics.json"])
    with pytest.raises(SystemExit, match=r"error: the disk is full \(.*No space left on device"):
        runner.main(vote)
    assert not list(small_disk.iterdir())


def test_a_file_that_may_not_grow_leaves_nothing_half_written(folder: Folder) -> None:
    ran = run("vote", *many_votes(), limit=60_000)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: the disk is full (")
    assert not [path.name for path in Path().rglob("*") if "out.parquet" in path.name or "partial" in path.name]


@pytest.mark.parametrize("stage", ["collect generated.generated", "curate"])
def test_a_data_set_that_does_not_fit_the_disk_leaves_nothing_half_written(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("infra").symlink_to(ROOT / "infra")
    write_params(lambda whole: None)
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(3000)]
    made = [problem(f"p{seed}", d.answer, d.statement) for seed, d in drawn]
    rows.write(Path("train/generated/problems.parquet"), made, Problem)
    rows.write(Path("exam/exam/problems.parquet"), [problem("e", 1, "Which one?")], Problem)
    rows.write(Path("problems.parquet"), [], Problem)
    ran = run(stage.split()[0], *words(stage), limit=30_000)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("error: the disk is full (")
    assert not [path.name for path in Path().rglob("*") if "out.parquet" in path.name or "partial" in path.name]


def test_control_c_leaves_no_output_and_the_next_run_gives_the_same_bytes(folder: Folder) -> None:
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(120)]
    rows.write(Path("problems.parquet"), [problem(f"p{seed}", d.answer, d.statement) for seed, d in drawn], Problem)
    write_params(lambda whole: whole["solve"]["teacher"].update(max_concurrent_questions=2))
    model = str(ROOT / "components/lib/arithmetic")

    def flags(out: str) -> list[str]:
        return [
            "teacher",
            "--problems",
            "problems.parquet",
            "--model",
            model,
            "--out",
            f"{out}.parquet",
            "--questions",
            f"{out}-questions.parquet",
            "--metrics",
            f"{out}.json",
        ]

    begun = subprocess.Popen(
        [sys.executable, "-m", "components.solve", *flags("stopped")], env=environment(), stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    kept = Path(".aimo/work")
    while begun.poll() is None and not any(file.stat().st_size for file in kept.glob("*/questions.jsonl")):
        time.sleep(0.01)
    os.killpg(begun.pid, signal.SIGINT)  # as the terminal does: the whole group, sandbox included
    _, said = begun.communicate(timeout=100)
    assert begun.returncode == 130, said
    assert "Traceback" not in said
    assert not list(Path().glob("*stopped*"))
    num_logged = next(kept.glob("*/questions.jsonl")).read_text(encoding="utf-8").count("\n")
    assert num_logged > 0

    assert run("solve", *flags("stopped")).returncode == 0
    assert not list(kept.iterdir())
    assert run("solve", *flags("whole")).returncode == 0
    assert Path("stopped.parquet").read_bytes() == Path("whole.parquet").read_bytes()
    assert Path("stopped.json").read_bytes() == Path("whole.json").read_bytes()
