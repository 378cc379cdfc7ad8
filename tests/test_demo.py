"""The whole chain at micro size, through the command a user types: from nothing to a verdict, then nothing to do, then only what changed.

Runs in a copy of the tracked files with the environments of this checkout; minutes, the longest test there is.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.graph import Graph
from tests import audit_fixtures

ROOT = Path(__file__).parents[1]
NOTES = ".aimo/opened"
pytestmark = pytest.mark.timeout(1500)


def run(folder: Path, *words: str) -> str:
    """A command in the copy; returns what it printed."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    surroundings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{surroundings['PATH']}"
    surroundings |= audit_fixtures.environment(folder / NOTES, folder)
    done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the micro chain ran."""
    copy = tmp_path_factory.mktemp("chain")
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n"):
        if name and (ROOT / name).is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / ".envs").symlink_to(ROOT / ".envs")
    run(copy, "git", "init", "-q")
    run(copy, "git", "add", "-A")
    run(copy, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "copy")
    run(copy, sys.executable, "-m", "flows.cli", "use", "micro")
    (copy / "printed.txt").write_text(run(copy, sys.executable, "-m", "flows.cli", "run"), encoding="utf-8")
    return copy


def test_every_stage_ran_and_the_summary_says_so(chain: Path) -> None:
    told = json.loads((chain / "reports/summary.json").read_text(encoding="utf-8"))
    assert {line["stage"] for line in told["stages"]} == set(Graph.read(chain).order)
    assert {line["state"] for line in told["stages"]} == {"run"}
    assert all(line["seconds"] > 0 for line in told["stages"])
    assert set(told["models"]) == {"base", "cot", "tir", "genselect", "awq", "fp8"}
    for model in told["models"].values():
        assert model["problems"] == 12 and 0 <= model["pass@1"]["mean"] <= 1 and set(model["vote_accuracy"]) >= {"majority", "genselect"}


def test_no_stage_opened_a_file_of_ours_that_its_fingerprint_does_not_know(chain: Path) -> None:
    assert set(audit_fixtures.opened_by_stage(chain / NOTES)) == set(Graph.read(chain).order)
    assert audit_fixtures.beyond_fingerprint(chain / NOTES, chain / "components") == {}


def test_a_comment_makes_nothing_run_but_the_fingerprints(chain: Path) -> None:
    file, stages = chain / "components/core/errors.py", set(Graph.read(chain).order)
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(f"{text}# A comment.\n", encoding="utf-8")
        assert Graph.read(chain).changed() == {"code"}
        run(chain, sys.executable, "-m", "dvc", "repro", "-q", "code")
        assert Graph.read(chain).changed() == set()
        file.write_text(f"{text}MORE = 1\n", encoding="utf-8")
        run(chain, sys.executable, "-m", "dvc", "repro", "-q", "code")
        assert Graph.read(chain).changed() == stages - {"code"}
    finally:
        file.write_text(text, encoding="utf-8")
        run(chain, sys.executable, "-m", "dvc", "repro", "-q", "code")


def test_quantized_models_are_smaller(chain: Path) -> None:
    def size(name: str) -> int:
        return sum(file.stat().st_size for file in (chain / "models" / name).glob("*.safetensors"))

    assert size("awq") < size("genselect") and size("fp8") < size("genselect")


def test_the_gate_gave_a_verdict_and_the_models_are_registered(chain: Path) -> None:
    verdict = json.loads((chain / "reports/promotion.json").read_text(encoding="utf-8"))
    assert verdict, "a verdict for each candidate of promote.challengers"
    traced = run(chain, sys.executable, "-m", "flows.cli", "trace", "tir")
    assert all(name in traced for name in ("models/cot", "models/base", "data/sft/tir", "data/raw/train/generated"))


def test_the_page_shows_every_exam(chain: Path) -> None:
    page = (chain / "reports/index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("base", "cot", "tir", "genselect", "awq", "fp8"))


def test_a_second_run_runs_nothing_and_says_so(chain: Path) -> None:
    lock = (chain / "dvc.lock").read_bytes()
    assert "nothing changed, no stage runs" in run(chain, sys.executable, "-m", "flows.cli", "run", "evaluate")
    assert (chain / "dvc.lock").read_bytes() == lock


def test_a_voting_setting_changes_only_votes_and_the_replay_that_weighs_by_them(chain: Path) -> None:
    params = (chain / "params.yaml").read_text(encoding="utf-8")
    try:
        (chain / "params.yaml").write_text(
            params.replace("[majority, weighted, genselect, verified, arbitrary]", "[majority, genselect]"), encoding="utf-8"
        )
        assert Graph.read(chain).changed() == {"replay", *(f"vote@{name}" for name in ("base", "cot", "tir", "genselect", "awq", "fp8"))}
    finally:
        (chain / "params.yaml").write_text(params, encoding="utf-8")


def test_a_prompt_changes_exactly_the_stages_that_read_it(chain: Path) -> None:
    prompt = chain / "components/lib/prompts/genselect.md"
    text = prompt.read_text(encoding="utf-8")
    try:
        prompt.write_text(text.replace("Pick", "Choose"), encoding="utf-8")
        judges = {f"judge@{name}" for name in ("base", "cot", "tir", "genselect", "awq", "fp8")}
        comparers = {"annotate@teacher", "annotate@practice"}
        assert Graph.read(chain).changed() == {"code", "compose@genselect", *comparers, *judges}
    finally:
        prompt.write_text(text, encoding="utf-8")
