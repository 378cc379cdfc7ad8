"""`aimo check`: each stop provoked once, on real tokenizers and templates and models of real shapes; what belongs together passes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.core import machine, rows
from components.core.errors import UserError
from components.core.hardware import Gpus, parse
from components.core.machine import LOCAL
from components.core.preflight import Facts
from components.core.types import Problem
from components.lib.engine import placement, vllm_flags
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.placement import Footprint, Placement
from components.lib.engine.server_config import vllm_arguments
from flows.preflight import blanks
from tests.preflight_fixtures import COMMIT, DATA, GIB, H100S, L4S, ROOT, SHAPES, found, model, project
from tests.row_fixtures import problem

VLLM = ROOT / ".envs/vllm"
public_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of public data sets here")
served = pytest.mark.skipif(not (VLLM / "bin/python").exists(), reason="no .envs/vllm (`infra/envs/build vllm`)")
NO_PARSER = {"machine": {"engines": {"server": {"env": ".envs/none"}}}}
"""No environment of vLLM's, whose parser takes seconds."""
NO_FLAGS = {"machine": {"engines": {"server": {"urls": ["http://elsewhere:8000"]}}}}
"""A server that somebody else started."""


def stops(facts: Facts) -> list[str]:
    return [f"{one.subject} of {one.whose}: {one.says}" for one in found(facts, "stop")]


# ---- blanks, files, settings --------------------------------------------------------------------------------------------------


def test_a_fresh_profile_names_what_a_person_has_to_fill_in_and_nothing_else_once_it_is(tmp_path: Path) -> None:
    told = blanks(project(tmp_path, "14b", filled=False))
    assert any(line.startswith("revision of models.fetch.base: null: write the commit of Qwen/Qwen2.5-14B") for line in told)
    assert any("revision of sources.hub.openmathreasoning" in line for line in told)
    assert any(line.startswith("path of sources.files.aimo2: in/aimo2-reference.csv: no such file") for line in told)
    assert blanks(project(tmp_path, "14b")) == []


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (
            {"models": {"fetch": {"base": {"revision": "main"}}}},
            "revision of models.fetch.base: main: write the commit of Qwen/Qwen2.5-14B",
        ),
        ({"models": {"import": {"mine": {"kind": "folder", "path": "nowhere"}}}}, "path of models.import.mine: nowhere: no such file"),
        ({"collect": {"licences": ["MIT"]}}, "the licence 'CC-BY-4.0' is not among collect.licences"),
        ({"machine": {"sandbox": {"max_sessions": 3}}}, "sandbox.max_sessions is 3, but 1 questions with up to 12 attempts alive"),
        (
            {"solve": {"exam-tir": {"plan": {"attempts": [["nosuch", 4]]}}}},
            "prompts of exam.tir: components/lib/prompts/nosuch.md: no such",
        ),
        ({"solve": {"exam-tir": {"syntax": "tags"}}}, "settings of : .*solve.exam-tir.syntax"),
        ({"machine": {"engines": {"server": {"urls": [], "env": ".envs/none"}}}}, "run `infra/envs/build none`"),
        ({"machine": {"quantize": {"envs": {"awq": ".envs/none"}}}}, "environment of models.quantize.awq: .envs/none: no such environment"),
        ({"machine": {"train": {"launch": "infra/launch/one.yaml"}}}, "processes of models.train.cot: .* starts 1 processes"),
        ({"train": {"num_processes": 16}, "machine": {"train": {"launch": "infra/launch/one.yaml"}}}, "16, this machine has 8 x 80 GiB"),
    ],
)
def test_what_is_missing_or_cannot_be_is_a_stop_with_its_cure(tmp_path: Path, over: dict[str, Any], said: str) -> None:
    facts = project(tmp_path, "14b", over=machine.merged(NO_FLAGS, over))
    if "revision" in said:
        facts.params["models"]["fetch"]["base"]["revision"] = "main"
    assert any(re.search(said, stop) for stop in stops(facts)), stops(facts)


def test_a_recipe_whose_own_file_is_missing_stops(tmp_path: Path) -> None:
    facts = project(tmp_path, "14b", "fast-math-r1", over=NO_FLAGS)
    assert ["runs/length.json: no such file" in stop for stop in stops(facts)] == [True] * 4  # whoever is asked by exam-tir
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/length.json").touch()
    assert stops(facts) == []


def test_no_gpu_stops_what_computes_on_one(tmp_path: Path) -> None:
    over = {"solve": {"common": {"engine": "transformers"}}, **NO_FLAGS}
    told = stops(project(tmp_path, "14b", gpus=Gpus(0, 0.0), over=over))
    for said in ("engines.transformers.device is cuda", "quantize.device is cuda", "train.num_processes is 8, this machine has no GPU"):
        assert any(said in stop for stop in told), (said, told)


# ---- GPUs and memory ------------------------------------------------------------------------------------------------------------


def size(name: str, weights: float | None = None) -> Footprint:
    shape = SHAPES[name]
    kv_token = 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"] * 2
    return Footprint(int(weights or shape.size), kv_token, shape["num_attention_heads"], shape["num_key_value_heads"])


@pytest.mark.parametrize(
    ("name", "gpus", "placed"),
    [
        ("14b", L4S, (4, 1)),  # as the contest's machine had it
        ("14b", Gpus(2, 80.0), (1, 2)),
        ("14b", Gpus(3, 24.0), (2, 1)),  # 40 heads: three cannot share them
        ("7b", L4S, (2, 2)),
        ("1.5b", H100S, (1, 8)),
        ("32b", L4S, (4, 1)),
        ("32b", Gpus(1, 24.0), (1, 1)),  # whether it fits is another question
        ("gpt-oss", Gpus(1, 80.0), (1, 1)),
        ("14b", Gpus(0, 0.0), (1, 1)),
    ],
)
def test_as_many_gpus_share_a_model_as_it_takes_and_servers_take_the_rest(name: str, gpus: Gpus, placed: tuple[int, int]) -> None:
    assert placement.place(size(name), gpus, None, None, 0.9) == placed


def test_what_is_told_holds_and_more_than_there_are_is_refused() -> None:
    assert placement.place(size("1.5b"), L4S, 4, None, None) == Placement(4, 1)
    assert placement.place(size("1.5b"), L4S, 1, 2, None) == Placement(1, 2)
    with pytest.raises(UserError, match=r"tensor_parallel_size 4 and .*replicas 2 take 8 GPUs, this machine has 4; write null"):
        placement.place(size("14b"), L4S, 4, 2, None)


@pytest.mark.parametrize(("text", "gpus"), [("4x24", L4S), ("1x79.6", Gpus(1, 79.6)), ("0", Gpus(0, 0.0))])
def test_another_machine_is_told_in_a_word(text: str, gpus: Gpus) -> None:
    assert parse(text) == gpus
    with pytest.raises(UserError, match="write how many GPUs of how many GiB, as in 4x24"):
        parse(f"{text}GB")


@public_data
def test_memory_shows_its_arithmetic(tmp_path: Path) -> None:
    model(tmp_path / "models/base", SHAPES["14b"])
    facts = project(tmp_path, "14b", "nemoskills", gpus=L4S, over=NO_PARSER)
    (told,) = {one.says for one in found(facts, "ok") if one.subject == "memory" and one.whose == "exam.tir"}
    assert told == (
        "4 x 24 GiB, 1 server of 4 GPUs, each 80.4 GiB: weights 27.5 + left 52.9; 12 attempts x 19,884 tokens x 192 KiB = 43.7 GiB"
    )


@public_data
@pytest.mark.parametrize(
    ("name", "gpus", "over", "level", "said"),
    [
        ("32b", Gpus(2, 24.0), {}, "stop", "memory: .*weights 61.0 .* not even one context of 32,768 tokens .8.0 GiB. is left"),
        ("14b", L4S, {"tensor_parallel_size": 8}, "stop", "GPUs: .*tensor_parallel_size 8 .* this machine has 4; write null"),
        ("14b", Gpus(2, 24.0), {}, "warn", "memory: .*; 3 of them fit at full length, the others wait"),
        (
            "14b",
            L4S,
            {"max_model_len": 16384},
            "warn",
            "context: prompt 2,300 .* 19,884 tokens, the context is 16,384: a long attempt ends",
        ),
        ("14b", L4S, {"max_model_len": 200000}, "stop", "context: .*200,000, the model's config.json has max_position_embeddings 131,072"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, name: str, gpus: Gpus, over: dict[str, Any], level: str, said: str) -> None:
    model(tmp_path / "models/base", SHAPES[name])
    facts = project(tmp_path, name, "nemoskills", gpus=gpus, over={"engines": {"server": over}, **NO_PARSER})
    told = [f"{one.subject}: {one.says}" for one in found(facts, level) if one.whose == "exam.tir"]
    assert any(re.search(said, line) for line in told), told


@public_data
def test_a_prompt_that_leaves_no_room_stops_once_it_can_be_counted(tmp_path: Path) -> None:
    facts = project(tmp_path, "14b", over=machine.merged(NO_FLAGS, {"engines": {"server": {"max_model_len": 2000}}}))
    assert stops(facts) == []  # what is not there yet may be short
    model(tmp_path / "models/base", SHAPES["14b"])
    (tmp_path / "data/problems").mkdir(parents=True)
    rows.write(tmp_path / "data/problems/exam.parquet", [problem("p"), problem("q", statement="What is 1 + 2? " * 300)], Problem)
    assert {stop.partition(": ")[2] for stop in stops(facts) if "exam" in stop} == {
        "the longest prompt has 2,501 tokens, the context 2,000; raise max_model_len"
    }


@public_data
def test_a_full_disk_is_seen_before_it_is_full(tmp_path: Path) -> None:
    model(tmp_path / "models/base", SHAPES["32b"])
    facts = project(tmp_path, "14b", gpus=Gpus(8, 24.0), over=NO_FLAGS)
    told = stops(facts._replace(free_bytes=200 * GIB))
    assert any("disk of : 244.0 GiB for cot, tir, genselect, awq, fp8" in stop for stop in told), told
    assert any("memory of models.train.cot: weights, gradients and Adam's moments 244.0 GiB, on 8 of 8 x 24" in stop for stop in told), told


# ---- flags ------------------------------------------------------------------------------------------------------------------------


@served
def test_flags_are_what_vllms_own_parser_knows(tmp_path: Path) -> None:
    lines = [["--enable-prefix-caching"], ["--enforce-eagr"], ["--kv-cache-dtype", "fp9"]]
    said = vllm_flags.errors(VLLM, lines, tmp_path)
    assert said[0] is None
    assert "--enforce-eagr" in (said[1] or "") and "invalid choice: 'fp9'" in (said[2] or "")
    assert vllm_flags.errors(VLLM, lines, tmp_path) == said and len(list((tmp_path / ".aimo/flags").iterdir())) == 3
    over = {"engines": {"server": {"flags": ["--enforce-eagr"]}}}
    (stop,) = {one.says for one in found(project(tmp_path, "14b", over=over), "stop")}
    assert stop.startswith("params.yaml: engines.server.flags: vLLM says: ") and "--enforce-eagr" in stop


# ---- what belongs together --------------------------------------------------------------------------------------------------------


AIMO2 = ["aliev", "andersen", "bisiadis", "farsail", "imagination-research", "ippeiogawa", "jk-piece", "mpware", "nemoskills", "numina",
         "paterek", "tascj", "usernam"]  # fmt: skip
TOGETHER = [((size,), Gpus(8, 80.0)) for size in ("1.5b", "7b", "14b", "32b")]
TOGETHER += [(("14b", recipe), gpus) for recipe in AIMO2 for gpus in (L4S, H100S)]
TOGETHER += [(("gpt-oss", recipe), Gpus(1, 80.0)) for recipe in ("bisiadis", "varianceofx", "paper-verified")]
TOGETHER += [(("tiny",), Gpus(0, 0.0)), (("micro",), Gpus(0, 0.0))]


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with vLLM's word on every command line of the table, which it was asked for in one go."""
    root = tmp_path_factory.mktemp("flags")
    lines = []
    for names, gpus in TOGETHER:
        facts = project(root, *names, gpus=gpus)
        engines, hosts = Engines.check(facts.params, root), EngineHosts.check(facts.machine, LOCAL)
        lines.append(vllm_arguments(engines.server, hosts.server, engines.server.tensor_parallel_size or 1))
    assert set(vllm_flags.errors(VLLM, list(map(list, {tuple(line): None for line in lines})), root)) == {None}
    return root / ".aimo"


@served
@public_data
@pytest.mark.parametrize(("names", "gpus"), TOGETHER, ids=lambda one: str(one) if isinstance(one, Gpus) else "-".join(one))
def test_what_belongs_together_passes(names: tuple[str, ...], gpus: Gpus, tmp_path: Path, flags: Path) -> None:
    """With its model there, and trained ones made where the GPUs are too few to train on."""
    (tmp_path / ".aimo").symlink_to(flags)
    shape = SHAPES.get(names[0])
    if shape:
        model(tmp_path / "models/base", shape, "gptoss" if names[0] == "gpt-oss" else "qwen2.5")
    facts = project(tmp_path, *names, gpus=gpus)
    for name in facts.params["models"]["train"] if shape and gpus.num < 8 else []:
        (tmp_path / "models" / name).symlink_to("base")
    if names[0] == "14b" and gpus == L4S:
        facts.params["solve"]["teacher"]["model"] = "base"  # made elsewhere: a 32B teacher needs more
    assert stops(facts) == []


def test_the_command_ends_with_one_where_there_is_a_stop(tmp_path: Path) -> None:
    for name in ("components", "infra", ".envs"):
        (tmp_path / name).symlink_to(ROOT / name)
    facts = project(tmp_path, "tiny")
    (tmp_path / "params.yaml").write_text(json.dumps(facts.params), encoding="utf-8")
    told = [sys.executable, "-m", "flows.cli", "check", "--gpus", "0"]
    fine = subprocess.run(told, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert (fine.returncode, "stop" in fine.stdout) == (0, False), fine.stdout + fine.stderr
    facts.params["models"]["fetch"]["base"] = {"kind": "hub", "repo": "a/b", "revision": None}
    (tmp_path / "params.yaml").write_text(json.dumps(facts.params), encoding="utf-8")
    stopped = subprocess.run(told, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert stopped.returncode == 1 and stopped.stdout.startswith("stop  revision of models.fetch.base: null: write the commit of a/b")
    facts.params["models"]["fetch"]["base"]["revision"] = COMMIT


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
