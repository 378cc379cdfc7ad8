"""What a user can get wrong, and the one line that says so: the file, the key or row, and the cure. No stack, and nothing half-written.

Told elsewhere: overlays (test_overlays), sources and their files (test_collect), ids that clash (test_curate), recorded replies and topics
(test_extract, test_waves), hubs (test_fetch_hub), the scratch model (test_fetch_scratch), prompts (test_prompts), servers (test_servers),
the sandbox (test_sandbox), too few sessions (test_solve), gates (test_validate), quantizers (test_quantize), reports (test_report),
the walk and its stages (test_walk, test_pipeline), promotion and lineage (test_promote, test_lineage).
"""

import copy
import functools
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core import params, rows, runner
from components.core.errors import UserError
from components.core.types import Candidate, Check, Example, Judgement, Message, Problem, Sat
from components.lib import arithmetic
from tests import micro_model
from tests.making import candidate, problem

ROOT = Path(__file__).parents[1]
WORDS = {
    "vote": "--candidates candidates.parquet --questions questions.parquet --judgements judgements.parquet --checks checks.parquet "
    "--problems problems.parquet --out out.parquet",
    "compose cot": "--candidates candidates.parquet --problems problems.parquet --curated curate.json --out out.parquet --card card",
    "judge": "--candidates candidates.parquet --problems problems.parquet --model . --out out.parquet",
    "solve exam-cot": "--problems problems.parquet --model . --out out.parquet --questions questions.parquet",
    "collect generated": "--out out.parquet",
    "curate": "--generated . --files . --hub . --extracted . --benchmarks . --exam . --out out.parquet",
}
Folder = Path
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A working directory with the tiny profile, an exam of two problems and the candidates of a sitting."""
    monkeypatch.chdir(tmp_path)
    write_params(lambda whole: None)
    rows.write(Path("problems.parquet"), [problem("p"), problem("q")], Problem)
    rows.write(
        Path("candidates.parquet"), [candidate(answer, name, index) for name in "pq" for index, answer in enumerate((7, 3))], Candidate
    )
    rows.write(Path("judgements.parquet"), [], Judgement)
    rows.write(Path("checks.parquet"), [], Check)
    rows.write(Path("questions.parquet"), [], Sat)
    Path("curate.json").write_text('{"read": {}, "dropped": {}, "written": {}}', encoding="utf-8")
    return tmp_path


@functools.cache
def tiny() -> dict[str, Any]:
    return params.read(ROOT / "params.yaml")


def write_params(edit: Edit) -> None:
    whole = copy.deepcopy(tiny())
    edit(whole)
    Path("params.yaml").write_text(json.dumps(whole), encoding="utf-8")


def words(stage: str) -> list[str]:
    return [*stage.split()[1:], *WORDS[stage].split(), "--metrics", "metrics.json"]


def told(stage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the stage's command says on its way out, after `error: `; it leaves no output."""
    name = stage.split()[0]
    monkeypatch.setattr(sys, "argv", [name, *words(stage)])
    with pytest.raises(SystemExit) as left:
        runner.main(getattr(importlib.import_module(f"components.{name}.stage"), name))
    said = str(left.value.code)
    assert said.startswith("error: ")
    assert not {path.name for path in Path().iterdir()} & {"out.parquet", ".partial-out.parquet", "metrics.json"}
    return said.removeprefix("error: ")


@pytest.mark.parametrize(
    ("stage", "edit", "says"),
    [
        ("vote", lambda p: p["vote"].update(sed=1), "params.yaml: vote: unknown key 'sed', did you mean 'seed'?"),
        ("vote", lambda p: p["vote"].update(seed="one"), "params.yaml: vote.seed: Input should be a valid integer (found: 'one')"),
        ("vote", lambda p: p["vote"].update(seed=1.0), "params.yaml: vote.seed: Input should be a valid integer (found: 1.0)"),
        ("vote", lambda p: p["vote"].pop("seed"), "params.yaml: vote: 'seed' is missing"),
        ("vote", lambda p: p.update(votes=p.pop("vote")), "params.yaml: no entry 'vote', did you mean 'votes'?; there are: contest, "),
        ("vote", lambda p: p.update(vote=3), "params.yaml: vote: holds 3, not keys with their values"),
        ("vote", lambda p: p["vote"].update(strategies=["majorty"]), "vote.strategies: no strategy 'majorty', did you mean 'majority'?"),
        ("compose cot", lambda p: p["compose"].pop("cot"), "params.yaml: compose: no entry 'cot'; there are: common, tir"),
        ("compose cot", lambda p: p["compose"].update(cot="all"), "params.yaml: compose.cot: holds 'all', not keys with their values"),
        ("compose cot", lambda p: p["compose"].update(common=[1]), "params.yaml: compose.common: holds [1], not keys with their values"),
        ("compose cot", lambda p: p["compose"]["cot"]["rows"].update(max_row=1),
         "params.yaml: compose.cot.rows: unknown key 'max_row', did you mean 'max_rows'?"),
        ("compose cot", lambda p: p["compose"]["cot"]["rows"].update(kind="cots"), "params.yaml: compose.cot.rows: "),
        ("collect generated", lambda p: p.update(collect=[]), "params.yaml: collect: no entry 'generated'"),
        ("collect generated", lambda p: p["collect"].update(generated="yes"), "params.yaml: collect.generated: holds 'yes', not keys"),
        ("solve exam-cot", lambda p: p["solve"]["common"]["stop"][0].update(equall=3),
         "params.yaml: solve.exam-cot.stop[0]: unknown key 'equall', did you mean 'equal'?"),
        ("solve exam-cot", lambda p: p["solve"]["common"].update(engine="transformer"),
         "params.yaml: engine: no engine 'transformer', did you mean 'transformers'?"),
        ("solve exam-cot", lambda p: p["solve"]["exam-cot"]["plan"].update(asks=[["cott", 2]]),
         "prompts/cott.md: no such prompt; there are: "),
    ],
)  # fmt: skip
def test_a_slip_in_the_params_is_named_with_its_key(
    stage: str, edit: Edit, says: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_params(edit)
    assert says in told(stage, monkeypatch)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "params.yaml: no such file; run inside the project, or write one with `aimo use tiny`"),
        (b"vote:\n\tseed: 1\n", "params.yaml: not YAML: "),
        (b"vote: {seed: 1}\nvote: {seed: 2}\n", 'found duplicate key "vote"'),
        (b"vote: \xff\n", "params.yaml: not YAML: 'utf-8' codec"),
        (b"- vote\n", "params.yaml: holds ['vote'], not sections with their keys; write one with `aimo use tiny`"),
        (b"", "params.yaml: no entry 'vote'"),
    ],
)
def test_a_params_file_that_is_none_is_named(text: bytes | None, says: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("params.yaml").unlink()
    if text is not None:
        Path("params.yaml").write_bytes(text)
    assert says in told("vote", monkeypatch)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def spoil(path: Path) -> None:
    """Zeros where the first page begins: the footer is whole, so it shows only when the group is read."""
    rows.write(path, [problem(os.urandom(200).hex()) for _ in range(600)], Problem)
    data = bytearray(path.read_bytes())
    data[4:2000] = bytes(1996)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("stage", "file", "spoilt", "says"),
    [
        ("vote", "problems.parquet", Path.unlink, "--problems problems.parquet: no such file or folder; `dvc repro` makes"),
        ("vote", "problems.parquet", cut, "problems.parquet, after row 0: not a whole parquet file ("),
        ("vote", "problems.parquet", spoil, "problems.parquet, after row "),
        ("vote", "problems.parquet", lambda path: path.write_bytes(b""), "; remove it and make it again"),
        ("vote", "problems.parquet", lambda path: [path.unlink(), path.mkdir()], "problems.parquet: no such file; `dvc repro` makes"),
        ("vote", "candidates.parquet", lambda path: rows.write(path, [problem()], Problem),
         "candidates.parquet, row 1: problem: Field required (wanted: Candidate)"),
        ("vote", "problems.parquet", lambda path: rows.write(path, [problem("p"), problem("q", None)], Problem),
         "problems.parquet: problem 'q' has no answer; an exam set needs one for each problem (see collect.exam)"),
        ("vote", "problems.parquet", lambda path: rows.write(path, [], Problem), "problems.parquet: holds no problem; see collect.exam"),
        ("vote", "problems.parquet", lambda path: rows.write(path, [problem("p")], Problem),
         "candidates.parquet: problem 'q' is not in the exam"),
        ("judge", "problems.parquet", lambda path: rows.write(path, [problem("p")], Problem),
         "candidates.parquet: problem 'q' is not in problems.parquet"),
        ("compose cot", "problems.parquet", lambda path: rows.write(path, [problem("q"), problem("p")], Problem),
         "candidates.parquet: problem 'q' is not in problems.parquet, or the two are not in one order; make the file again"),
        ("compose cot", "candidates.parquet", lambda path: rows.write(path, [candidate(3), candidate(4, "q")], Candidate),
         "candidates.parquet: not one attempt is fit for the set 'cot'; left out: {'wrong answer': 2}"),
        ("compose cot", "curate.json", lambda path: path.write_text("{"), "curate.json: not the counts that curate writes: "),
        ("curate", "problems.parquet", Path.unlink, "problems.parquet: no such file; `dvc repro` makes what a stage reads"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named_with_its_row(
    stage: str, file: str, spoilt: Callable[[Path], object], says: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt(Path(file))
    assert says in told(stage, monkeypatch)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{broken", r"rows\.jsonl, line 2: not JSON \(.*\); mend or remove the line"),
        (b"\xff\xfe", r"rows\.jsonl, line 2: not JSON \('utf-8' codec"),
        (b"", r"rows\.jsonl, line 2: not JSON"),
        (b"3", r"rows\.jsonl, row 2: the row: Input should be an object \(wanted: Problem\)"),
        (problem().model_dump_json().replace(":7,", ':"7",').encode(), r"rows\.jsonl, row 2: answer: Input should be a valid integer"),
        (problem().model_dump_json().replace('"id"', '"name"').encode(), r"rows\.jsonl, row 2: id: Field required"),
    ],
)  # fmt: skip
def test_a_bad_line_of_a_growing_file_is_named(line: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(problem().model_dump_json().encode() + b"\n" + line + b"\n")
    with pytest.raises(UserError, match=says):
        list(rows.read(tmp_path / "rows.jsonl", Problem))


def run(name: str, *flags: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command as DVC runs it, in the current folder; `limit`: bytes that a file may have."""
    return subprocess.run(
        [sys.executable, "-m", f"components.{name}", *flags], capture_output=True, text=True, timeout=300, env=environment(),
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}


def test_the_command_says_one_line_and_no_stack(folder: Folder) -> None:
    ran = run("vote", *(word.replace("problems.parquet", "problem.parquet") for word in words("vote")))
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: --problems problem.parquet: no such file or folder")


@pytest.mark.parametrize(("flags", "says"), [(["--problem", "x"], "--problem"), (["--out", "x"], "Missing option '--candidates'")])
def test_a_slip_on_the_command_line_is_answered_with_the_usage(flags: list[str], says: str, folder: Folder) -> None:
    ran = run("vote", *flags)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


# ---- models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return micro_model.make(tmp_path_factory.mktemp("model") / "whole")


def without(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


def without_tokenizer(model: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()


def forgetful(model: Path) -> None:
    """The rule of DeepSeek-R1's template: of an assistant's turn, only what follows the thought."""
    content = "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    (model / "chat_template.jinja").write_text(micro_model.TEMPLATE.replace("{{ m.content }}", content), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoilt", "max_length", "says"),
    [
        (without_tokenizer, 512, "start: no tokenizer in it (tokenizer.json); copy it from the model that this one was made from"),
        (without("config.json"), 512, "start: no config.json in it, so it is no model folder"),
        (without("model.safetensors"), 512, "start: no *.safetensors in it"),
        (without("chat_template.jinja"), 512, "start: its tokenizer has no chat template; add chat_template.jinja to the folder"),
        (forgetful, 512, "start: its chat template drops the text between <think> and </think>"),
        (lambda model: None, 20, "examples.parquet: none of its 2 rows has at most 20 tokens; raise train.*.max_length"),
    ],
)
def test_a_model_that_cannot_be_trained_is_refused_before_training(
    spoilt: Callable[[Path], None], max_length: int, says: str, whole: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = folder / "start"
    start.mkdir()
    for file in whole.iterdir():
        (start / file.name).write_bytes(file.read_bytes())
    spoilt(start)
    asked, said = Message(role="user", content="What is 3 + 4?", loss=False), Message(role="assistant", content="It is 7.", loss=True)
    made = [Example(id=name, problem=name, candidate=None, kind="cot", messages=(asked, said)) for name in "pq"]
    rows.write(folder / "data/examples.parquet", made, Example)
    write_params(lambda whole: whole["train"]["common"].update(max_length=max_length, launch=str(ROOT / "infra/launch/one.yaml")))
    flags = "--data data --start start --gate params.yaml --out out.parquet --losses losses.csv"
    monkeypatch.setitem(WORDS, "train cot", flags)
    assert says in told("train cot", monkeypatch)
    assert not list(Path().glob("*losses.csv"))


# ---- the disk, and the user's hand -------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("stage", ["collect generated", "curate"])
def test_a_data_set_that_does_not_fit_the_disk_leaves_nothing_half_written(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(lambda whole: None)
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(3000)]
    rows.write(Path("problems.parquet"), [problem(f"p{seed}", d.answer, d.statement) for seed, d in drawn], Problem)
    empty = [Path(name) for name in ("files", "hub", "extracted", "benchmarks")]
    for path in empty:
        rows.write(path / "problems.parquet", [], Problem)
    rows.write(Path("asked/problems.parquet"), [problem("e", 1, "Which one?")], Problem)
    flags = " ".join(f"--{path} {path}" for path in empty) + " --generated . --exam asked --out out.parquet"
    given = ["generated", "--out", "out.parquet"] if stage == "collect generated" else flags.split()
    ran = run(stage.split()[0], *given, "--metrics", "metrics.json", limit=30_000)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("error: the disk is full (")
    assert not [path.name for path in Path().rglob("*") if "out.parquet" in path.name or "partial" in path.name]


def test_control_c_leaves_no_output_and_the_next_run_gives_the_same_bytes(folder: Folder) -> None:
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(120)]
    rows.write(Path("problems.parquet"), [problem(f"p{seed}", d.answer, d.statement) for seed, d in drawn], Problem)
    write_params(lambda whole: whole["solve"]["teacher"].update(questions_at_once=2))
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
    while begun.poll() is None and not any(file.stat().st_size for file in kept.glob("*/sat.jsonl")):
        time.sleep(0.01)
    os.killpg(begun.pid, signal.SIGINT)  # as the terminal does: the whole group, sandbox included
    _, said = begun.communicate(timeout=100)
    assert begun.returncode == 130, said
    assert "Traceback" not in said
    assert not list(Path().glob("*stopped*"))
    sat = next(kept.glob("*/sat.jsonl")).read_text(encoding="utf-8").count("\n")
    assert sat > 0

    assert run("solve", *flags("stopped")).returncode == 0
    assert not list(kept.iterdir())
    assert run("solve", *flags("whole")).returncode == 0
    assert Path("stopped.parquet").read_bytes() == Path("whole.parquet").read_bytes()
    assert Path("stopped.json").read_bytes() == Path("whole.json").read_bytes()
