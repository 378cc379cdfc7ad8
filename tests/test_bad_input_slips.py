"""What a user can get wrong, and the one line that says so: the file, the key or row, and the cure. No stack, and nothing half-written.

Told elsewhere: overlays (test_overlays), sources and their files (test_collect_sources, test_collect_files), ids that clash
(test_curate_stage), recorded replies and topics (test_extract, test_batching), hubs (test_fetch_hub), the scratch model
(test_fetch_scratch), prompts (test_prompts), servers (test_servers), the sandbox (test_sandbox), too few sessions (test_solve),
gates (test_validate), quantizers (test_quantize_refusals), reports (test_report_page), the walk and its stages (test_walk, test_pipeline),
promotion and lineage (test_promote, test_lineage), full disks and Ctrl-C (test_bad_input_half_way).
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core import rows, runner
from components.core.errors import UserError
from components.core.types import Candidate, Example, Message, Problem
from tests import model_fixtures
from tests.row_fixtures import candidate, problem
from tests.stage_fixtures import WORDS, Edit, Folder, filled, run, words, write_params


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return filled(tmp_path, monkeypatch)


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
        ("collect generated.generated", lambda p: p["sources"].update(generated={}),
         "params.yaml: sources.generated: no entry 'generated'"),
        ("collect generated.generated", lambda p: p["collect"].update(licenses=["MIT"]),
         "params.yaml: sources.generated.generated: unknown key 'licenses'"),
        ("collect generated.generated", lambda p: p["sources"].update(generated="yes"),
         "params.yaml: sources.generated: Input should be a valid dictionary (found: 'yes')"),
        ("curate", lambda p: p["sources"]["hub"].update(exam={"use": "train"}),
         "params.yaml: sources.hub.exam: the name 'exam' is that of"),
        ("solve exam-cot", lambda p: p["solve"]["common"]["early_stopping"][0].update(equall=3),
         "params.yaml: solve.exam-cot.early_stopping[0]: unknown key 'equall', did you mean 'equal'?"),
        ("solve exam-cot", lambda p: p["solve"]["common"].update(engine="transformer"),
         "params.yaml: engine: no engine 'transformer', did you mean 'transformers'?"),
        ("solve exam-cot", lambda p: p["solve"]["exam-cot"]["plan"].update(attempts=[["cott", 2]]),
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
         "problems.parquet: problem 'q' has no answer; an exam set needs one for each problem (see `use: exam` under sources)"),
        ("vote", "problems.parquet", lambda path: rows.write(path, [], Problem), "problems.parquet: holds no problem; see `use: exam`"),
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


def test_the_command_says_one_line_and_no_stack(folder: Folder) -> None:
    ran = run("vote", *(word.replace("problems.parquet", "problem.parquet") for word in words("vote")))
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: --problems problem.parquet: no such file or folder")


@pytest.mark.parametrize(("flags", "says"), [(["--problem", "x"], "--problems"), (["--out", "x"], "required: --candidates")])
def test_a_slip_on_the_command_line_is_answered_with_the_usage(flags: list[str], says: str, folder: Folder) -> None:
    ran = run("vote", *flags)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


# ---- models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_fixtures.make(tmp_path_factory.mktemp("model") / "whole")


def without(name: str) -> Callable[[Path], None]:
    return lambda model: (model / name).unlink()


def without_tokenizer(model: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()


def forgetful(model: Path) -> None:
    """The rule of DeepSeek-R1's template: of an assistant's turn, only what follows the thought."""
    content = "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}"
    (model / "chat_template.jinja").write_text(model_fixtures.TEMPLATE.replace("{{ m.content }}", content), encoding="utf-8")


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
    write_params(lambda whole: whole["train"].update(max_length=max_length))
    flags = "--data data --rehearsal data --start start --gate params.yaml --out out.parquet --losses losses.csv"
    monkeypatch.setitem(WORDS, "train cot", flags)
    assert says in told("train cot", monkeypatch)
    assert not list(Path().glob("*losses.csv"))
