"""Sets of the hub, on local folders of the same schema: the field maps of infra/profiles/hub.yaml, what is refused, what is passed over."""

import gc
from pathlib import Path
from typing import Any

import pytest

from components.collect.source import Collect
from components.collect.stage import collect
from components.core import overlays, rows
from components.core.errors import UserError
from components.core.params import read
from components.core.types import Dropped, Problem
from tests.collect_fixtures import CONTEST, entry

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SETS: dict[str, dict[str, Any]] = read(ROOT / "infra/profiles/hub.yaml")["sources"]["hub"]
CHAT = [{"from": "user", "value": "Find $2^3$."}, {"from": "assistant", "value": "<think>\n\\boxed{7}?\n</think>\nIt is $\\boxed{8}$."}]
MATH = {"level": "Level 1", "type": "Algebra", "solution": "First \\boxed{3}, then $\\boxed{\\boxed{8}}$."}
REASONING = {"expected_answer": "8", "problem_type": "has_answer_extracted", "generated_solution": "8", "inference_mode": "cot"}
ROWS: dict[str, dict[str, Any]] = {
    "openmathreasoning": {"problem": "Find $2^3$.", **REASONING},
    "openmathreasoning-more": {"problem": "Find $2^3$.", **REASONING, "generated_solution": None, "inference_mode": "n/a"},
    "numinamath": {"problem": "Find $2^3$.", "solution": "8", "answer": "8", "question_type": "math-word-problem", "source": "olympiads"},
    "numinamath-cot": {"source": "amc_aime", "problem": "Find $2^3$.", "solution": MATH["solution"], "messages": []},
    "openr1-math": {"problem": "Find $2^3$.", "solution": "8", "answer": "8", "uuid": "u", "generations": ["a", "b"]},
    "light-r1": {"conversations": CHAT},
    "limo": {"question": "Find $2^3$.", "solution": "8", "answer": "8"},
    "math": {"problem": "Find $2^3$.", **MATH},
    "gsm8k": {"question": "Find $2^3$.", "answer": "2*2=<<2*2=4>>4\n4*2=<<4*2=8>>8\n#### 8"},
    "aime24": {"ID": "2024-I-1", "Problem": "Find $2^3$.", "Solution": "", "Answer": 8},
    "aime25-i": {"question": "Find $2^3$.", "answer": "8"},
    "aime25-ii": {"question": "Find $2^3$.", "answer": "8"},
    "aime22-24": {"id": 0, "problem": "Find $2^3$.", "solution": "", "answer": "008", "url": ""},
    "amc22-23": {"id": 0, "problem": "Find $2^3$.", "answer": 8.0, "url": ""},
    "math500": {"problem": "Find $2^3$.", "solution": "", "answer": "8", "subject": "", "level": 1, "unique_id": "test/algebra/1.json"},
    "gsm8k-test": {"question": "Find $2^3$.", "answer": "#### 8"},
}  # fmt: skip


def folder(path: Path, subset: str | None, split: str, records: list[dict[str, Any]]) -> Path:
    """A set as the hub holds it: a card that names its files, and parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(records), path / "data/rows.parquet")
    card = f"configs:\n- config_name: {subset or 'default'}\n  data_files:\n  - split: {split}\n    path: data/rows.parquet\n"
    (path / "README.md").write_text(f"---\n{card}---\n", encoding="utf-8")
    return path


def source(name: str, **fields: Any) -> Collect:
    return entry(f"hub.{name}", ["Apache-2.0", "CC-BY-4.0", "MIT"], **{**SETS[name], **fields})


def kept(config: Collect, out: Path) -> list[Problem]:
    collect(config, CONTEST, out=out)
    return list(rows.read(out / "problems.parquet", Problem))


def test_every_known_set_has_a_row_here() -> None:
    assert SETS.keys() == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_field_map_fits_the_schema_of_its_set(tmp_path: Path, name: str) -> None:
    known = SETS[name]
    repo = folder(tmp_path / "set", known["subset"], known["split"], [ROWS[name]])
    (problem,) = kept(source(name, repo=str(repo)), tmp_path / "out")
    assert (problem.statement, problem.source, problem.licence) == ("Find $2^3$.", name, known["licence"])
    assert problem.answer == (8 if known["answer"] else None)


def test_the_overlay_of_known_sets_fits_the_params(tmp_path: Path) -> None:
    for name in ("components", "infra"):
        (tmp_path / name).symlink_to(ROOT / name)
    overlays.use(["hub"], tmp_path)
    assert read(tmp_path / "params.yaml")["sources"]["hub"] == SETS


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:12]])
def test_a_revision_that_pins_nothing_is_refused_before_anything_is_fetched(tmp_path: Path, revision: str | None) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: sources\.hub\.limo: revision .* does not pin GAIR/LIMO; write .*git ls-remote"):
        kept(source("limo", revision=revision), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_licence_that_is_not_on_the_list_is_refused(tmp_path: Path) -> None:
    repo = folder(tmp_path / "set", None, "train", [ROWS["limo"]])
    with pytest.raises(UserError, match=r"sources\.hub\.limo: the licence 'CC-BY-NC-4\.0' is not among collect\.licences \(Apache-2\.0"):
        kept(source("limo", repo=str(repo), licence="CC-BY-NC-4.0"), tmp_path / "out")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"split": "test"}, r"set \(test\): .*mend params\.yaml: sources\.hub\.limo"),
        ({"subset": "hard"}, r"set \(train\): .*hard.*mend params\.yaml: sources\.hub\.limo"),
        ({"statement": "problem"}, r"set \(train\), row 1: no field 'problem'; it has: question, solution, answer"),
        ({"statement": "question.0.text"}, r"row 1: no field 'question\.0\.text'"),
        ({"repo": "nobody/nothing", "revision": COMMIT}, "nobody/nothing: the hub cannot be reached"),
    ],
)
def test_a_set_that_is_not_what_its_entry_says_is_named(
    tmp_path: Path, fields: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repo = folder(tmp_path / "set", None, "train", [ROWS["limo"]])
    with pytest.raises(UserError, match=message):
        kept(source("limo", **{"repo": str(repo), **fields}), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("rows.parquet", b"PAR1 not", r"set \(train\): .*mend params\.yaml: sources\.hub\.limo, or the set"),
        ("rows.jsonl", b'{"question": \n', r"set \(train\): .*mend params\.yaml: sources\.hub\.limo"),
        ("notes.log", b"", r"set: No \(supported\) data files found"),
    ],
)
def test_a_folder_that_holds_no_set_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        kept(source("limo", repo=str(tmp_path / "set")), tmp_path / "out")


def test_solutions_of_one_problem_are_passed_over_and_counted(tmp_path: Path) -> None:
    records = [{"problem": text, **REASONING} for text in ("Find $2^3$.", "Find $2^3$.", "Find $3^2 - 1$.", "Find $2^3$.")]
    repo = folder(tmp_path / "set", None, SETS["openmathreasoning"]["split"], records)
    measured = collect(source("openmathreasoning", repo=str(repo)), CONTEST, out=tmp_path / "out")
    assert [problem.id for problem in rows.read(tmp_path / "out/problems.parquet", Problem)] == [
        "openmathreasoning-1",
        "openmathreasoning-3",
    ]
    assert (measured["problems"], measured["repeats"]) == (2, 2)


def test_unusable_rows_are_dropped_with_their_reason(tmp_path: Path) -> None:
    answers = ["8", "proof", "3/4", "1e400", "1000", None]
    records = [{"question": f"Question {number}?", "answer": answer} for number, answer in enumerate(answers)]
    repo = folder(tmp_path / "set", None, "train", [*records, {"question": "x" * 10_000_000, "answer": "1"}])
    (problem,) = kept(source("limo", repo=str(repo)), tmp_path / "out")
    assert problem.statement == "Question 0?"
    assert {row.id: row.reason for row in rows.read(tmp_path / "out/dropped.parquet", Dropped)} == {
        "limo-2": "answer not an integer",
        "limo-3": "answer not an integer",
        "limo-4": "answer not an integer",
        "limo-5": "answer out of range",
        "limo-6": "no answer",
        "limo-7": "statement too long",
    }


def test_of_a_long_set_only_digests_stay_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    def peak(num_rows: int) -> int:
        records = [{"question": f"{number} " + "x" * 2000, "answer": "8"} for number in range(num_rows)]
        repo = folder(tmp_path / f"set-{num_rows}", None, "train", records)
        del records
        gc.collect()
        tracemalloc.start()
        collect(source("limo", repo=str(repo)), CONTEST, out=tmp_path / f"out-{num_rows}")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)  # imports
    assert peak(12_000) - peak(6_000) < 6_000 * 400  # bytes; the statements have 2,000 each
