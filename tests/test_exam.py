"""`aimo exam`: what its words become in params.yaml, what it says of wrong ones, and one exam from a clean project to the table."""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UserError
from components.core.params import PARAMS, read
from components.lib import prompts
from flows import exam_table, subgraphs
from flows.exam import BENCHMARKS, OVERLAY, ExamRequest, prepare
from flows.fork_server import ForkServer
from flows.graph import Graph
from flows.walk import run_stage, walk
from tests import model_fixtures
from tests.collect_fixtures import DATA, entry, jsonl, problems, real_data

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean clone: what git holds of the project, and nothing made."""
    root = tmp_path / "project"
    for name in ("components", "infra"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", root)
    shutil.copy(ROOT / "infra/profiles/tiny.yaml", root / PARAMS)
    for folder in (".dvc", "reports/losses"):
        (root / folder).mkdir(parents=True)
    (root / ".dvc/config").write_text("[core]\nno_scm = True\nanalytics = False\n")
    shutil.copy(ROOT / ".dvcignore", root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    jsonl(Path("sums.jsonl"), {"problem": "What is 2 + 3?", "answer": 5}, {"problem": "What is 1 / 2?", "answer": "1/2"})
    return root


def request(model: str = "", problems: str = "sums.jsonl", **more: Any) -> ExamRequest:
    plain: dict[str, Any] = {"attempts": None, "limit": None, "tokenizer": None, "engine": None, "profiles": [], "recipes": []}
    return ExamRequest(model, problems, **{**plain, **more})


def params(asked: ExamRequest) -> dict[str, Any]:
    prepare(Path(), asked)
    return read(PARAMS)


# ---- words -------------------------------------------------------------------------------------------------------------


def test_a_folder_and_a_file_are_all_of_the_exam(project: Path) -> None:
    (project / "Qwen2.5-0.5B").mkdir()
    whole = params(request("Qwen2.5-0.5B", "sums.jsonl,gsm8k-test=sums.jsonl", attempts=3, limit=1, engine="transformers"))
    name = "Qwen2-5-0-5B"
    assert whole["models"]["import"] == {name: {"kind": "folder", "path": "Qwen2.5-0.5B"}}
    assert whole["exam"] == {name: {"model": name, "solve": "exam-tir", "judge": name}}
    file = {"kind": "problems", "use": "exam", "path": "sums.jsonl", "sha256": None, "limit": 1}
    assert whole["sources"] == {
        "generated": {}, "hub": {}, "files": {"sums": {**file, "licence": "not stated"}, "gsm8k-test": {**file, "licence": "MIT"}},
    }  # fmt: skip
    assert whole["solve"]["exam-tir"]["plan"]["attempts"] == [["recipes/plain/code", 3]] and whole["report"]["k_values"] == [3]
    assert whole["solve"]["common"]["engine"] == "transformers" and whole["judge"]["engine"] is None


def test_a_name_that_a_model_of_the_project_has_gets_another_one(project: Path) -> None:
    (project / "tir").mkdir()
    assert list(params(request("tir"))["exam"]) == ["tir-exam"]


def test_a_gguf_file_and_a_commit_of_the_hub_need_no_network(project: Path) -> None:
    (project / "a.b.gguf").touch()
    assert params(request("a.b.gguf"))["models"]["import"]["a-b"]["kind"] == "gguf"
    fetched = params(request(f"Qwen/Qwen3-8B@{COMMIT}"))["models"]["fetch"]
    assert fetched["Qwen3-8B"] == {"kind": "hub", "repo": "Qwen/Qwen3-8B", "revision": COMMIT} and "base" in fetched


def test_what_was_pinned_once_stays_so(project: Path) -> None:
    first = params(request(f"Qwen/Qwen3-8B@{COMMIT}"))
    assert params(request("Qwen/Qwen3-8B")) == first


def test_every_benchmark_of_the_list_is_an_entry_that_collect_takes_and_is_read_as_where_no_row_may_ask_it(project: Path) -> None:
    (project / "m").mkdir()
    known, apart = read(project / BENCHMARKS), read(project / "infra/profiles/hub.yaml")["sources"]["hub"]
    pinned = {name: {"repo": one["repo"], "revision": COMMIT} for name, one in known.items()}
    (project / PARAMS).write_text(json.dumps({"sources": {"hub": pinned}}))
    asked = params(request("m", ",".join(known)))["sources"]["hub"]
    assert list(asked) == list(known) and all(one["revision"] == COMMIT for one in asked.values())
    both = known.keys() & apart.keys()
    same = ("repo", "subset", "split", "id", "statement", "licence")
    assert both == {"gsm8k-test", "math500", "aime24"} and all(known[name][key] == apart[name][key] for name in both for key in same)


def test_recipes_lie_over_the_exam_s_own_rules_and_profiles_below(project: Path) -> None:
    (project / "mine.yaml").write_text("solve: {common: {max_tokens: 40}}\n")
    (project / "m").mkdir()
    whole = params(request("m", profiles=["gpu"], recipes=["numina", "mine.yaml"]))
    assert whole["solve"]["common"]["max_tokens"] == 40 and whole["solve"]["common"]["prompts"].endswith("recipes/numina")
    assert whole["engines"]["server"]["max_model_len"] == 32768 and whole["judge"]["engine"] is None


def test_the_default_prompts_ask_for_a_box_and_say_how_code_is_called() -> None:
    asked = prompts.render("recipes/plain/code", statement="What is 2 + 3?", low=0, high=999)
    assert "\\boxed{}" in asked and "from 0 to 999" in asked and "```python" in asked


@contextlib.contextmanager
def served(reply: bytes) -> Iterator[str]:
    """A server that lists its models."""

    class Listing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == "/v1/models" and self.headers.get("Authorization") == "Bearer sk-right"
            self.send_response(200 if good else 401)
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_says_its_model_and_where_its_tokenizer_lies(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "there").mkdir()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right\n")
    with served(json.dumps({"data": [{"id": "org/theirs", "root": "there"}]}).encode()) as url:
        whole = params(request(f"{url}/v1/"))
    assert whole["models"]["import"] == {"theirs": {"kind": "server", "served_model_name": "org/theirs", "path": "there"}}
    assert read(project / ".aimo/machine.profile.yaml") == {"engines": {"servers": {"theirs": {"urls": [url]}}}}
    assert not any("sk-right" in path.read_text() for path in (project / PARAMS, project / OVERLAY))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b'{"data": [{"id": "org/theirs", "root": "org/theirs"}]}', r"it holds 'org/theirs'; name the folder .* --tokenizer FOLDER"),
        (b'{"data": []}', r"no server answers http://127\.0\.0\.1:\d+/v1/models \(list index out of range\)"),
        (b"<html>", r"no server answers .*/v1/models"),
    ],
)
def test_a_server_that_cannot_be_asked_is_told_of(project: Path, monkeypatch: pytest.MonkeyPatch, reply: bytes, said: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")
    with served(reply) as url, pytest.raises(UserError, match=said):
        prepare(project, request(url))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request("m", "gsm8k"), r"--problems gsm8k: no such benchmark, did you mean 'gsm8k-test'\?; there are: gsm8k-test, math500"),
        (request("m", "x=none.csv"), r"--problems x=none\.csv: none\.csv: no such file"),
        (request("m", "none.jsonl"), r"--problems none\.jsonl: none\.jsonl: no such file"),
        (request("m", "sums.jsonl,sums.jsonl"), r"'sums' is there twice; name one of them otherwise: NAME=FILE"),
        (request("m", "aime24"), r"--problems aime24: Maxwell-Jia/AIME_2024: the hub cannot be reached .* aime24=FILE"),
        (request("./none"), r"--model \./none: no such folder or file; or name OWNER/NAME"),
        (request("none.gguf"), r"--model none\.gguf: no such folder or file"),
        (request("Qwen/none"), r"no such folder here; on the hub: Qwen/none: the hub cannot be reached .* Qwen/none@COMMIT"),
        (request("http://127.0.0.1:9"), r"no server answers http://127\.0\.0\.1:9/v1/models \(.*refused.*\); start it"),
        (request("m", recipes=["aliev"], attempts=4), r"--attempts: aliev has a plan of its own"),
        (request("m", recipes=["alief"]), r"no profile or recipe 'alief', did you mean 'aliev'"),
    ],
)
def test_wrong_words_are_refused_in_one_line_before_anything_is_written(project: Path, asked: ExamRequest, said: str) -> None:
    (project / "m").mkdir()
    before = (project / PARAMS).read_bytes()
    with pytest.raises(UserError, match=said) as refused:
        prepare(project, asked)
    assert "\n" not in str(refused.value) and (project / PARAMS).read_bytes() == before


# ---- files whose fields have usual names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {"question": "What is 2 + 3?", "answer": "2 + 3 = 5\n#### 5"},
        {"Problem": "What is 2 + 3?", "Answer": "5", "solution": "no box"},
        {"problem": "What is 2 + 3?", "solution": "It is $\\boxed{5}$."},
        {"statement": "What is 2 + 3?", "expected_answer": 5},
    ],
)
def test_usual_names_need_no_field_map(tmp_path: Path, row: dict[str, Any]) -> None:
    [kept], _, _ = problems(usual(jsonl(tmp_path / "rows.jsonl", row)), tmp_path / "out")
    assert (kept.id, kept.statement, kept.answer) == ("set-1", "What is 2 + 3?", 5)


def test_a_file_without_any_usual_name_says_which_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.jsonl, row 1: no field problem or question or statement; it has: task, answer; rename"):
        problems(usual(jsonl(tmp_path / "rows.jsonl", {"task": "What is 2 + 3?", "answer": 5})), tmp_path / "out")


@real_data
@pytest.mark.parametrize(
    ("file", "num", "first"),
    [("gsm8k/test.jsonl.gz", 1319, 18), ("math/math500.jsonl", 500, None), ("aime25/aime_2025_30.csv", 30, None)],
)
def test_real_sets_need_no_field_map(tmp_path: Path, file: str, num: int, first: int | None) -> None:
    kept, dropped, _ = problems(usual(DATA / file), tmp_path / "out")
    assert len(kept) + len(dropped) == num and len(kept) > num / 2
    assert first is None or kept[0].answer == first


def usual(path: Path) -> Any:
    return entry("files.set", kind="problems", use="exam", path=str(path), sha256=None, licence="MIT", limit=None)


# ---- from a clean project to the table -------------------------------------------------------------------------------------


def run_exam(root: Path) -> dict[str, str]:
    """Brings the exam up to date; what became of each stage."""
    graph = Graph.read(root)
    with ForkServer() as server:
        outcomes = walk(graph, subgraphs.stages(graph, "exam"), lambda stage: run_stage(server, stage, root, lambda *_: None), 2)
    assert not [outcome for outcome in outcomes if outcome.error], outcomes
    return {outcome.stage: outcome.status for outcome in outcomes}


def test_an_exam_of_two_benchmarks_with_nothing_trained_and_again_nothing_runs(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(project))
    model_fixtures.make(project / "micro", 1024)
    jsonl(project / "more.jsonl", {"question": "What is 4 + 3?", "answer": "#### 7"})
    (project / "short.yaml").write_text("solve: {common: {max_tokens: 16}}\n")
    asked = request("micro", "sums.jsonl,more.jsonl", attempts=2, engine="transformers", recipes=["short.yaml"])
    prepare(project, asked)
    stages = run_exam(project)
    assert stages.keys() == {
        "code", "import@micro", "collect@sums", "collect@more", "curate", "validate@problems",
        *(f"{family}@micro" for family in ("exam", "judge", "verify", "vote")), "report",
    }  # fmt: skip
    exam_table.show(project)
    told = capsys.readouterr().out
    assert [line.split() for line in told.splitlines()[:3]] == [["sums", "more", "together"], ["micro"] * 3, ["problems", "1", "1", "2"]]
    assert "sums: 1 of 2 rows are not asked: answer not an integer 1" in told and told.splitlines()[-1].endswith("reports/index.html")
    page = (project / "reports/index.html").read_text()
    assert "<tr><td>sums</td><td>micro</td><td>1</td>" in page and "<tr><td>more</td><td>micro</td><td>1</td>" in page

    prepare(project, asked)
    graph, changed = Graph.read_with_changes(project)
    assert not changed & subgraphs.stages(graph, "exam")
    prepare(project, asked._replace(attempts=3))
    assert Graph.read(project).changed() & subgraphs.stages(graph, "exam") == {"exam@micro", "report"}


def test_the_command_says_what_is_wrong_in_one_line(project: Path) -> None:
    words = [sys.executable, "-m", "flows.cli", "exam", "--model", "none", "--problems", "sums.jsonl"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 1 and done.stderr.startswith("error: --model none: no such folder or file") and done.stderr.count("\n") == 1
