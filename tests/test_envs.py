"""The pinned environments: every list can be had for every Python that the project names, and a rebuild loses nothing that was added.

The lists are resolved with this machine's own sources of packages; nothing is downloaded but their metadata.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = ROOT / ".venv/bin/uv"
LISTS = sorted(path.stem for path in (ROOT / "infra/envs").glob("*.txt"))
PYTHONS = ["3.11", "3.12", "3.13"]
LINUX = "x86_64-manylinux_2_34"


def uv(*words: str) -> str:
    """What uv says; skips, and says so, where no source of packages can be reached."""
    done = subprocess.run([UV, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if re.search(r"dns error|failed to (fetch|connect)|connection refused|timed out", done.stderr, re.IGNORECASE):
        pytest.skip(f"NOT CHECKED, no source of packages: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_project_names_these_pythons() -> None:
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LISTS)
def test_every_pin_of_a_list_is_to_be_had_for_every_python(name: str, python: str, tmp_path: Path) -> None:
    """Of AutoAWQ and antlr4 there are sources only, which are built where they are installed."""
    words = ["pip", "install", "--dry-run", "--no-deps", "--python-version", python, "--python-platform", LINUX, "--target", str(tmp_path)]
    uv(*words, "-r", f"infra/envs/{name}.txt")


@pytest.mark.parametrize("python", PYTHONS)
def test_the_list_of_vllm_for_cuda_is_whole(python: str, tmp_path: Path) -> None:
    pins = (ROOT / "infra/envs/vllm-cuda.txt").read_text(encoding="utf-8")
    (tmp_path / "pins.txt").write_text(pins)
    words = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", python, "--python-platform", LINUX]
    assert uv(*words, "-c", f"{tmp_path}/pins.txt", f"{tmp_path}/pins.txt") == pins
    assert {"vllm==0.31.0", "torch==2.13.0"} <= set(pins.split())


@pytest.mark.parametrize(("device", "taken"), [("cpu", "small.txt"), ("cuda", "small-cuda.txt")])
def test_the_machine_says_which_list_is_taken_and_a_rebuild_keeps_what_was_added(device: str, taken: str, tmp_path: Path) -> None:
    envs = tmp_path / "infra/envs"
    envs.mkdir(parents=True)
    shutil.copy(ROOT / "infra/envs/build", envs)

    def build(pins: str) -> str:
        (envs / taken).write_text(f"# without torch\n{pins}\n")
        (envs / "small.txt").touch()
        done = subprocess.run([envs / "build", "small"], capture_output=True, text=True, env={**os.environ, "DEVICE": device}, check=False)
        if "No matching distribution" in done.stderr or "dns error" in done.stderr:
            pytest.skip(f"NOT CHECKED, no source of packages: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"building from infra/envs/{taken}" in build("idna==3.20")
    python = str(tmp_path / ".envs/small/bin/python")
    uv("pip", "install", "--quiet", "--python", python, "iniconfig==2.3.1")
    assert "kept what was added to it: iniconfig==2.3.1" in build("sniffio==1.3.1")
    assert set(uv("pip", "freeze", "--python", python).split()) >= {"iniconfig==2.3.1", "sniffio==1.3.1"}
    assert "idna" not in uv("pip", "freeze", "--python", python)
    assert "up to date" in build("sniffio==1.3.1")
