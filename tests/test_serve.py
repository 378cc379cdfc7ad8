"""The solver behind the protocol: the seam, the clocks it obeys, the notebook's two modes, and the bundle as a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from components.core import machine, rows
from components.core.errors import UserError
from components.core.types import Candidate
from components.gateway.exam_run import Gateway, run_exam
from components.gateway.questions import Question, question_order
from components.lib import arithmetic
from components.lib.answers import Contest
from components.lib.kaggle.client import GrpcClient
from components.lib.votes.config import VoteConfig
from components.replay.stage import Replay, replay
from components.serve import bundle
from components.serve.notebook import predictor, serve
from components.serve.solver import solver
from tests import kaggle_fixtures

ROOT = Path(__file__).parents[1]
MODEL = Path("components/lib/arithmetic")  # the template teacher's: it knows problems by their id
CONTEST = Contest(low=0, high=999, modulus=1000)
GATEWAY: dict[str, Any] = {"mode": "kaggle", "shuffle": True, "seed": 1, "num_runs": 1, "num_questions": 50}
GATEWAY |= {"response_s": 60.0, "startup_s": 60.0, "total_s": 600.0}


def params(folder: Path, **solve: Any) -> Path:
    """The project's params.yaml and infra/machine.yaml, the teacher without errors, a free port."""
    whole = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    whole["gateway"] = GATEWAY
    whole["engines"]["teacher"]["error_rate"] = 0.0
    whole["solve"]["teacher"] |= solve
    file = folder / "params.yaml"
    with file.open("w", encoding="utf-8") as written:
        YAML(typ="safe", pure=True).dump(whole, written)
    here = folder / machine.DEFAULTS
    here.parent.mkdir(exist_ok=True)
    here.write_text((ROOT / machine.DEFAULTS).read_text(encoding="utf-8").replace("port: 50051", "port: 0"), encoding="utf-8")
    return file


def questions(count: int) -> list[Question]:
    drawn = [(seed, arithmetic.problem(seed)) for seed in range(count)]
    return [Question(f"generated-{seed}", one.statement, one.answer) for seed, one in drawn]


def csv_file(folder: Path, count: int) -> Path:
    file = folder / "reference.csv"
    rows = [f'{q.id},"{q.text.replace(chr(34), chr(34) * 2)}",{q.gold}' for q in questions(count)]
    file.write_text("\n".join(["id,question,answer", *rows]) + "\n", encoding="utf-8")
    return file


def test_the_solver_votes_on_its_attempts_or_has_no_answer(tmp_path: Path) -> None:
    with solver("teacher", ROOT / MODEL, params(tmp_path), tmp_path) as answer:
        for question in questions(5):
            assert answer(question.id, question.text) == question.gold
        assert answer("elsewhere", "What is the meaning of life?") is None  # all attempts abstain


def test_a_wrong_model_is_refused_before_the_first_question(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jsonl"), solver("teacher", tmp_path / "none.jsonl", params(tmp_path), tmp_path):
        pass


def test_a_statement_under_two_ids_is_asked_once(tmp_path: Path) -> None:
    (question,) = questions(1)
    with solver("teacher", ROOT / MODEL, params(tmp_path), tmp_path) as answer:
        assert answer(question.id, question.text) == question.gold
        assert answer("unknown to the teacher", question.text) == question.gold


@pytest.mark.parametrize("ids", [pl.Series("id", [57]), pl.Series("id", ["057"])])
def test_a_numeric_id_goes_back_as_it_came(ids: pl.Series) -> None:
    frame = predictor(lambda name, _: int(name))(ids, pl.Series("question", ["?"]))
    assert frame["id"].equals(ids) and frame["answer"].to_list() == [57]


@pytest.mark.parametrize("clock", [{"question_s": 350.0, "exam_s": 0.0}, {"question_s": 0.1, "exam_s": 18000.0}])
def test_the_recipes_clock_is_obeyed(tmp_path: Path, clock: dict[str, float]) -> None:
    """The run is over; or a question has a tenth of a second, five of the teacher's tokens."""
    (asked,) = questions(1)
    with solver("teacher", ROOT / MODEL, params(tmp_path, time_budget={"kind": "fixed", **clock}), tmp_path) as answer:
        assert answer(asked.id, asked.text) is None


def test_the_clock_knows_how_many_questions_come(tmp_path: Path) -> None:
    file = params(tmp_path, time_budget={"kind": "cutoffs", "exam_s": 18000.0, "ends_s": [350.0, 700.0]})
    (asked,) = questions(1)
    with (
        solver("teacher", ROOT / MODEL, file, tmp_path) as answer,
        pytest.raises(UserError, match="names 2 ends, but there are 50 questions"),
    ):
        answer(asked.id, asked.text)


def test_a_failed_rehearsal_is_an_error_as_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_IS_COMPETITION_RERUN", raising=False)

    @contextmanager
    def broken() -> Iterator[Any]:
        def answer(name: str, question: str) -> int:
            raise RuntimeError("no memory")

        yield answer

    with pytest.raises(UserError, match=r"SERVER_RAISED_EXCEPTION.*result\.json"):
        serve(broken, params(tmp_path), csv_file(tmp_path, 2), tmp_path / "out")


# ---- the bundle ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    bundle.write(folder / "bundle", "teacher", ROOT / MODEL, MODEL, params(folder))
    return folder / "bundle"


def started(made: Path, home: Path, *words: str, **more: str) -> "subprocess.Popen[str]":
    """serve.py as a notebook starts it: in an empty folder, with nothing of this checkout on the path."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "KAGGLE_IS_COMPETITION_RERUN"}}
    home.mkdir(exist_ok=True)
    asked = [sys.executable, "-P", str(made / "serve.py"), *words]
    return subprocess.Popen(asked, cwd=home, env={**kept, **more}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_bundle_answers_gateways_as_a_process_of_its_own(made: Path, tmp_path: Path) -> None:
    process = started(made, tmp_path / "empty", KAGGLE_IS_COMPETITION_RERUN="1")
    try:
        assert process.stdout
        told = process.stdout.readline()
        assert told.startswith("predict is served at port"), told + process.stdout.read()
        port, asked = int(told.rpartition(" ")[2]), questions(12)
        client = kaggle_fixtures.Client(port)
        for question in asked[:2]:
            assert client.predict(question.id, question.text) == {"id": [question.id], "answer": [question.gold]}
        client.channel.close()
        with GrpcClient("localhost", port, startup_s=10) as line:
            done = run_exam(question_order(asked, seed=3), Gateway.model_validate(GATEWAY), CONTEST, line, tmp_path / "out")
        assert (done.score, done.failure) == (12, None)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    (kept,) = (tmp_path / "empty").iterdir()
    assert [one.problem for one in rows.read(kept, Candidate)][::2] == [question.id for question in asked[:2]] + [
        question.id for question in question_order(asked, seed=3).questions if question not in asked[:2]
    ]  # two attempts at each, and none where the statement was known
    bundle.check(made)  # nor into the bundle


def test_the_bundle_rehearses_on_a_file_and_writes_what_a_notebook_writes(made: Path, tmp_path: Path) -> None:
    with started(made, tmp_path / "empty", str(csv_file(tmp_path, 3))) as process:
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "[3] of 3 right" in told, told
    written = {path.name for path in (tmp_path / "empty").iterdir()}
    assert written == {"submission.parquet", "result.json", "run.json", "score.json", "candidates.jsonl", "problems.parquet"}


def test_a_rehearsal_can_be_replayed_and_each_one_is_kept(tmp_path: Path) -> None:
    file = params(tmp_path)
    for name in ("candidates.jsonl", "candidates-2.jsonl"):
        serve(lambda: solver("teacher", ROOT / MODEL, file, tmp_path), file, csv_file(tmp_path, 3), tmp_path)
        assert len(list(rows.read(tmp_path / name, Candidate))) == 2 * 3
    whole = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))["replay"]
    recipes = {"both": {**whole["recipes"]["no-stop"], "plan": {"any": 2}}}
    told = replay(
        Replay.model_validate({**whole, "recipes": recipes, "k_values": [1]}), VoteConfig.load(file),
        candidates=tmp_path / "candidates.jsonl", problems=tmp_path / "problems.parquet", page=tmp_path / "page.html",
    )  # fmt: skip
    assert told["pool"]["num_without_attempts"] == 0 and told["recipes"]["both"]["accuracy"]["mean"] == 1.0


def test_the_manifest_names_every_file_and_a_changed_one_is_found(made: Path, tmp_path: Path) -> None:
    import shutil

    manifest = json.loads((made / "manifest.json").read_text(encoding="utf-8"))
    there = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == there - {"manifest.json"}
    assert {
        "serve.py",
        "README.md",
        "params.yaml",
        "infra/machine.yaml",
        "components/lib/prompts/tir.md",
        "components/lib/sandbox/zygote.py",
    } <= there
    assert not {name for name in there if name.startswith(("components/train", "components/collect", "flows"))}
    assert (manifest["key"], manifest["model"]) == ("teacher", MODEL.as_posix())
    copy = shutil.copytree(made, tmp_path / "copy")
    with (copy / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    with pytest.raises(UserError, match=r"params\.yaml: missing, or not as manifest\.json says"):
        bundle.check(copy)


def test_a_clocks_own_model_is_taken_along(tmp_path: Path) -> None:
    clock = {"kind": "tokens", "exam_s": 1.0, "question_s": 1.0, "model": "models/length.json", "scale": 1.0, "low": 1, "high": 9}
    file = params(tmp_path, time_budget=clock)
    with pytest.raises(UserError, match=r"solve\.teacher\.time_budget\.model: no file models/length\.json"):
        bundle.write(tmp_path / "out", "teacher", ROOT / MODEL, MODEL, file)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/length.json").write_text("{}", encoding="utf-8")
    bundle.write(tmp_path / "out", "teacher", ROOT / MODEL, MODEL, file)
    assert "models/length.json" in json.loads((tmp_path / "out/manifest.json").read_text(encoding="utf-8"))["files"]


def test_a_bundle_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    file = params(tmp_path)
    with pytest.raises(UserError, match="no entry 'techer', did you mean 'teacher'"):
        bundle.write(tmp_path / "out", "techer", ROOT / MODEL, MODEL, file)
    with pytest.raises(UserError, match="no such folder"):
        bundle.write(tmp_path / "out", "teacher", tmp_path / "models/none", MODEL, file)
    with pytest.raises(UserError, match="is there already"):
        bundle.write(tmp_path, "teacher", ROOT / MODEL, MODEL, file)
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "infra"}


def test_nothing_needs_the_server() -> None:
    """components/serve puts stages together, which no stage may; so nothing imports it but itself."""
    for file in (ROOT / "components").rglob("*.py"):
        assert file.parent.name == "serve" or "components.serve" not in file.read_text(encoding="utf-8"), file


@pytest.mark.parametrize(("command", "said"), [("serve", "--problems"), ("submit-bundle", "--mounted-at"), ("gateway", "--out")])
def test_a_command_shows_the_words_of_its_component(command: str, said: str) -> None:
    run = [sys.executable, "-c", "from flows.cli import main; main()", command, "--help"]
    assert said in subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
