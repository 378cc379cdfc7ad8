"""Where a stage runs: three files laid over each other, refused by name where they are wrong, recorded, and no part of any result."""

import json
import shutil
from pathlib import Path

import pytest

from components.core import machine, rows
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.runner import contract
from components.core.types import Candidate, Problem
from components.lib.engine.config import EngineHosts
from components.lib.engine.server_process import devices
from components.quantize.stage import quantize
from flows import summary
from flows.graph import Graph
from flows.walk import Outcome
from tests.row_fixtures import candidate, problem
from tests.workspace_fixtures import dvc, workspace

ROOT = Path(__file__).parents[1]
SECRET = "engines: {server: {urls: ['http://me:secret@host:8000/v1?key=secret']}}\n"
JUDGE = """\
stages:
  judge:
    cmd: >-
      python -m components.judge --candidates candidates.parquet --problems problems.parquet --model models --out out.parquet
      --metrics reports/metrics/judge.json
    deps: [candidates.parquet, problems.parquet, models]
    params: [judge, engines]
    outs: [out.parquet]
    metrics: [reports/metrics/judge.json: {cache: false}]
"""


class Server(MachineConfig, section="server"):
    urls: list[str]
    slots: int


def project(root: Path, profile: str = "", own: str = "") -> Path:
    for path, text in ((machine.DEFAULTS, "server: {urls: [], slots: 64}\nflow: {}\n"), (machine.PROFILE, profile), (machine.LOCAL, own)):
        if text:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which a real stage, which may open a server, has nothing to ask and is up to date."""
    root = workspace(tmp_path)
    (root / "dvc.yaml").write_text(JUDGE)
    for name in ("params.yaml", "infra/machine.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "models").mkdir()
    rows.write(root / "problems.parquet", [problem("p")], Problem)
    rows.write(root / "candidates.parquet", [candidate(7, "p", index) for index in range(2)], Candidate)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (root / machine.LOCAL).parent.mkdir(exist_ok=True)
    (root / machine.LOCAL).write_text(SECRET)
    dvc(root, "repro", "-q")
    return root


def test_each_file_lies_over_the_one_below(tmp_path: Path) -> None:
    assert Server.load(project(tmp_path)) == Server(urls=[], slots=64)
    project(tmp_path, profile="server: {slots: 8, urls: [http://there]}\n")
    assert Server.load(tmp_path) == Server(urls=["http://there"], slots=8)
    project(tmp_path, own="server: {urls: [http://a, http://b]}\n")
    assert Server.load(tmp_path) == Server(urls=["http://a", "http://b"], slots=8), "mappings merge, a list replaces"


@pytest.mark.parametrize("file", ["profile", "own"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("servr: {slots: 8}", "unknown section 'servr', did you mean 'server'\\?; there are: server, flow"),
        ("server: {slot: 8}", "server: unknown key 'slot', did you mean 'slots'"),
        ("server: {slots: many}", "server.slots: .*found: 'many'"),
        ("server: 8", "server: holds 8, not keys with their values"),
        ("- server", "holds .'server'., not sections with their keys; remove it"),
        ("server: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_refused_with_the_file_and_the_key(tmp_path: Path, file: str, text: str, says: str) -> None:
    name = {"profile": "machine.profile.yaml", "own": "machine.yaml"}[file]
    with pytest.raises(UserError, match=rf"\.aimo/{name}: {says}"):
        Server.load(project(tmp_path, **{file: text}))


def test_without_its_defaults_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"infra/machine.yaml: no such file; run inside the project"):
        Server.load(tmp_path)


def test_a_signature_tells_what_is_computed_from_where() -> None:
    shape = contract(quantize)
    assert (set(shape.sections), set(shape.machine), shape.keyed) == ({"config"}, {"where"}, True)


def test_a_change_of_the_machine_makes_no_stage_stale(judged: Path) -> None:
    graph = Graph.read(judged)
    assert graph.changed() == set()
    defaults = judged / machine.DEFAULTS
    defaults.write_text(defaults.read_text().replace("max_num_seqs: 64", "max_num_seqs: 8").replace(".envs/vllm", ".envs/other"))
    (judged / machine.LOCAL).write_text('engines: {server: {urls: ["http://elsewhere:8000"]}}\n')
    (judged / machine.PROFILE).write_text("sandbox: {max_sessions: 3}\n")
    assert graph.changed() == set()
    params = judged / "params.yaml"
    params.write_text(params.read_text().replace("max_model_len: 1024", "max_model_len: 512"))
    assert graph.changed() == {"judge"}


def test_where_a_stage_ran_is_told_as_it_was_and_without_secrets(judged: Path) -> None:
    (judged / machine.LOCAL).write_text("engines: {server: {urls: [http://later]}}\n")
    told = json.loads((judged / ".aimo/ran/judge.json").read_text())["machine"]
    assert told["host"] and set(told) == {"host", "engines"}
    assert told["engines"]["server"]["urls"] == ["http://host:8000/v1"]
    summary.write(judged, "retrain", [Outcome("judge", "cached", 0.0)])
    written = (judged / summary.MACHINE).read_text()
    (one,) = json.loads(written.removeprefix("window.ran = ").removesuffix(";\n"))
    assert one["stage"] == "judge" and one["machine"]["engines.server.max_num_seqs"] == 64
    assert "secret" not in written + (judged / ".aimo/ran/judge.json").read_text()


def test_a_note_of_another_run_is_not_told(judged: Path) -> None:
    (judged / "reports/metrics/judge.json").write_text("{}")
    summary.write(judged, "retrain", [])
    assert (judged / summary.MACHINE).read_text() == "window.ran = [];\n"


def test_a_named_server_is_found_by_the_models_name() -> None:
    whole = machine.layers(ROOT)[0][1]
    hosts = EngineHosts.check(machine.merged(whole, {"engines": {"servers": {"oss": {"urls": ["http://a:1"]}}}}), machine.LOCAL)
    assert hosts.named("oss").urls == ["http://a:1"]
    with pytest.raises(UserError, match=r"\.aimo/machine.yaml: engines.servers: no server 'os', did you mean 'oss'\?; write {os: {urls:"):
        hosts.named("os")


def test_each_of_several_servers_has_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [devices(number, 2)["CUDA_VISIBLE_DEVICES"] for number in range(2)] == ["0,1", "2,3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert devices(0, 2) == {"CUDA_VISIBLE_DEVICES": "4,5"}
    with pytest.raises(UserError, match=r"replicas: 2 servers of 2 GPUs each, but CUDA_VISIBLE_DEVICES=4,5,6"):
        devices(1, 2)
