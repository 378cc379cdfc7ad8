"""A workspace as it stands after a run, made by hand: a dvc.lock, and the small files that mirror and gate read. Nothing is trained.

A model is a skill in [0, 1]; all take the same problems with the same luck, so models of equal skill give equal answers.
"""

import atexit
import functools
import hashlib
import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from components.core import rows
from components.core.types import Candidate, Problem, Support, Vote
from flows import lineage

SKILLS = {"base": 0.05, "genselect": 0.5, "awq": 0.5, "fp8": 0.5}
SIZES = {"base": 4000, "cot": 4000, "genselect": 4000, "awq": 1000, "fp8": 2000}
GATE = {
    "challengers": ["awq", "fp8"],
    "baseline": "base",
    "strategy": "majority",
    "k": 4,
    "margin": 0.05,
    "confidence": 0.95,
    "resamples": 2000,
    "seed": 1,
}
PROBLEMS = 120


def workspace(root: Path, skills: dict[str, float] = SKILLS, exam_seed: int = 2, gate: dict[str, Any] | None = None) -> Path:
    """Makes (or makes over) the workspace, under git, with an empty tracking store of its own."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(json.dumps({"promote": GATE | (gate or {}), **_who(skills)}))
    _exam(root, skills, exam_seed)
    for name, text in {"metrics/train@cot": '{"loss": {"last": 0.5}, "kind": "cot"}', "metrics/vote@awq": '{"majority": 0.45}'}.items():
        _write(root / f"reports/{name}.json", text)
    _write(root / "reports/losses/cot.csv", "step,loss,learning_rate\n1,2.5,0.1\n2,1.5,0.05\n")
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": _stages(root, skills)}))
    if not (root / ".git").exists():
        shutil.copytree(_empty_store(), root / ".aimo")
        git(root, "init", "-q")
        commit(root)
    return root


def _who(skills: dict[str, float]) -> dict[str, Any]:
    """Sections `models`, `exam` and `solve` of params.yaml: everyone who has a skill sits the exam."""
    quantized = {name: {"start": "genselect"} for name in skills if name in ("awq", "fp8")}
    trained = {name: {"start": "base"} for name in skills if name not in (*quantized, "base")}
    models = {"fetch": {"base": {}}, "import": {}, "train": {"genselect": {"start": "base"}} | trained, "quantize": quantized}
    exam = {name: {"model": name, "solve": "exam-tir", "judge": name} for name in skills}
    return {"models": models, "exam": exam, "solve": {"exam-tir": {}}}


def commit(root: Path) -> str:
    """Commits params.yaml and dvc.lock."""
    git(root, "add", "params.yaml", "dvc.lock")
    git(root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "run", "--allow-empty")
    return git(root, "rev-parse", "HEAD").strip()


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


@functools.cache
def _empty_store() -> Path:
    """A migrated database: MLflow needs 10 s for a new one, so all tests copy this."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    with lineage.tracking_store(home, f"sqlite:///{home}/.aimo/mlflow.db"):
        return home / ".aimo"


def _exam(root: Path, skills: dict[str, float], seed: int) -> None:
    rng = random.Random(seed)
    problems = [Problem(id=f"p{i:03}", statement=f"{i}?", answer=i, source="t", licence="t", group=str(i)) for i in range(PROBLEMS)]
    luck = {problem.id: [(rng.random() + rng.random()) / 2 for _ in range(8)] for problem in problems}
    rows.write(root / "data/problems/exam.parquet", [p.model_copy(update={"licence": f"t{seed}"}) for p in problems], Problem)
    for name, skill in skills.items():
        tries = [_try(problem, i, one < skill) for problem in problems for i, one in enumerate(luck[problem.id])]
        rows.write(root / f"runs/exam/{name}/candidates.parquet", tries, Candidate)
        rows.write(root / f"runs/exam/{name}/votes.parquet", [_vote(p, luck[p.id][0] < skill) for p in problems], Vote)


def _try(problem: Problem, index: int, right: bool) -> Candidate:
    answer = problem.answer if right else 1000 + index % 5
    return Candidate(problem=problem.id, index=index, mode="tir", text="", answer=answer, abstained=None, boxed=answer,
                     printed=None, runs=(), num_tokens=1, entropies=(), seconds=1.0, finish_reason="stop", seed=1, rank=index,
                     isolation="strong", parent=None)  # fmt: skip


def _vote(problem: Problem, right: bool) -> Vote:
    gold = problem.answer or 0
    answer = gold if right else 1000
    support = (Support(answer=answer, weight=1.0, candidates=(0,)),)
    return Vote(problem=problem.id, strategy="random", answer=answer, fallback=False, gold=gold, correct=right, support=support)


def _stages(root: Path, skills: dict[str, float]) -> dict[str, Any]:
    """The readers stand before the makers, as the alphabet may have it in a real dvc.lock."""
    exam = "data/problems/exam.parquet"
    stages: dict[str, Any] = {}
    for name in skills:
        run, model = f"runs/exam/{name}", f"models/{name}"
        stages[f"vote@{name}"] = ([f"{run}/candidates.parquet", exam], [f"{run}/votes.parquet"])
        stages[f"exam@{name}"] = (["components/lib/prompts/tir.md", exam, model], [f"{run}/candidates.parquet"])
    stages["vote@awq"][1].append("reports/metrics/vote@awq.json")
    for name in skills.keys() & {"awq", "fp8"}:
        stages[f"quantize@{name}"] = (["code/quantize.json", "models/genselect", "data/sft/cot"], [f"models/{name}"])
    stages["train@genselect"] = (["models/cot", "data/sft/cot"], ["models/genselect"])
    stages["train@cot"] = (
        ["code/train.json", "data/sft/cot", "models/base"],
        ["models/cot", "reports/metrics/train@cot.json", "reports/losses/cot.csv"],
    )
    stages["compose@cot"] = (["components/lib/prompts/cot.md", "data/problems"], ["data/sft/cot"])
    stages["curate"] = (["data/raw/train/generated", "data/raw/exam/exam"], ["data/problems"])
    stages["generate@generated"] = (["code/collect.json"], ["data/raw/train/generated"])
    stages["generate@exam"] = (["code/collect.json"], ["data/raw/exam/exam"])
    stages["fetch@base"] = (["code/fetch.json"], ["models/base"])
    return {stage: _entry(root, stage, paths[0], paths[1], skills) for stage, paths in stages.items()}


def _entry(root: Path, stage: str, deps: list[str], outs: list[str], skills: dict[str, float]) -> dict[str, Any]:
    entry = {
        "cmd": f"python -m components.{stage.replace('@', ' ')}",
        "deps": [_artifact(root, path, skills) for path in deps],
        "outs": [_artifact(root, path, skills) for path in outs],
    }
    return entry | ({"params": {"params.yaml": {"models.train.cot": {"lr": 0.002, "steps": [1, 2]}}}} if stage == "train@cot" else {})


def _artifact(root: Path, path: str, skills: dict[str, float]) -> dict[str, Any]:
    """A file's own md5; of a folder that is not there, one made of its name (and, for a model, its skill)."""
    file, name = root / path, path.removeprefix("models/")
    if file.is_file():
        return {"path": path, "hash": "md5", "md5": hashlib.md5(file.read_bytes()).hexdigest(), "size": file.stat().st_size}
    folder = hashlib.md5(f"{path} {skills.get(name)}".encode()).hexdigest()
    return {"path": path, "hash": "md5", "md5": f"{folder}.dir", "size": SIZES.get(name, 100)}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
