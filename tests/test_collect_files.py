"""Sources of files: what is kept, what is dropped and why, and what stops the stage with a word to the user."""

import functools
import gzip
import hashlib
import http.server
import importlib.util
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.collect.stage import collect
from components.core import rows
from components.core.errors import UserError
from tests.collect_fixtures import CONTEST, DATA, jsonl, one_file, problems, real_data


@pytest.mark.parametrize("form", ["rows.jsonl", "rows.jsonl.gz", "rows.csv", "rows.csv.gz", "rows.parquet"])
def test_every_format_gives_the_same_problems(tmp_path: Path, form: str) -> None:
    text = 'id,problem,answer\na,"Add 1, 2",3\n"b","two\nlines ""quoted"" é",016\n'
    records = [{"id": "a", "problem": "Add 1, 2", "answer": "3"}, {"id": "b", "problem": 'two\nlines "quoted" é', "answer": "016"}]
    path = tmp_path / form
    if form.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        data = (text if "csv" in form else "".join(json.dumps(record) + "\n" for record in records)).encode()
        path.write_bytes(gzip.compress(data, mtime=0) if form.endswith(".gz") else b"\xef\xbb\xbf" + data)
    kept, dropped, _ = problems(one_file(path), tmp_path / "out")
    assert [(problem.id, problem.statement, problem.answer) for problem in kept] == [
        ("set-a", "Add 1, 2", 3),
        ("set-b", 'two\nlines "quoted" é', 16),
    ]
    assert not dropped


GOOD = {"id": 1, "problem": "What is 2 + 3?", "answer": 5}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"answer": "3/4"}, "answer not an integer"),
        ({"answer": float("inf")}, "answer not an integer"),
        ({"answer": "1e400"}, "answer not an integer"),
        ({"answer": 10**400}, "answer not an integer"),
        ({"answer": 5.5}, "answer not an integer"),
        ({"answer": [5]}, "answer not an integer"),
        ({"answer": 1000}, "answer out of range"),
        ({"answer": -1}, "answer out of range"),
        ({"answer": None}, "no answer"),
        ({"answer": "  "}, "no answer"),
        ({"problem": ""}, "statement empty"),
        ({"problem": None}, "statement empty"),
        ({"problem": 7}, "statement not text"),
        ({"problem": "a\0b"}, "statement not clean text"),
        ({"problem": "a\ud800b"}, "statement not clean text"),
        ({"problem": "x" * 20_001}, "statement too long"),
        ({"problem": "x" * 10_000_000}, "statement too long"),
    ],
)
def test_an_unusable_row_is_dropped_with_its_reason_or_stops_an_exam(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    path = jsonl(tmp_path / "rows.jsonl", GOOD, {**GOOD, "id": 2, **row})
    kept, dropped, measured = problems(one_file(path), tmp_path / "out")
    assert [problem.id for problem in kept] == ["set-1"]
    assert [(d.id, d.reason) for d in dropped] == [("set-2", reason)]
    assert measured["reasons"] == {reason: 1}
    with pytest.raises(UserError, match=rf"rows\.jsonl, row 2 \(set-2\): {reason}"):
        collect(one_file(path, on_bad_answer="error"), CONTEST, out=tmp_path / "exam")


def test_a_file_that_is_not_the_named_one_stops_the_stage(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", GOOD)
    digest = collect(one_file(path), CONTEST, out=tmp_path / "any")["sha256"]
    assert collect(one_file(path, sha256=digest), CONTEST, out=tmp_path / "named")["problems"] == 1
    jsonl(path, {**GOOD, "answer": 6})
    with pytest.raises(UserError, match=rf"rows\.jsonl: its SHA-256 is [0-9a-f]+, but params\.yaml: sources\.files\.set names {digest}"):
        collect(one_file(path, sha256=digest), CONTEST, out=tmp_path / "other")


@pytest.mark.parametrize("answer", [5, 5.0, "5", "005", "5.0", "$5$"])
def test_an_answer_may_be_written_in_many_ways(tmp_path: Path, answer: Any) -> None:
    kept, _, _ = problems(one_file(jsonl(tmp_path / "rows.jsonl", {**GOOD, "answer": answer})), tmp_path / "out")
    assert kept[0].answer == 5


@pytest.mark.parametrize(
    ("name", "data", "fields", "message"),
    [
        ("none.jsonl", None, {}, r"none\.jsonl: no such file"),
        ("rows.txt", b"x", {}, "cannot tell the format"),
        ("rows.jsonl", b"", {}, "holds no rows"),
        ("rows.csv", b"id,problem,answer\n", {}, "holds no rows"),
        ("rows.jsonl", b'{"problem": "Q", "id": 1, "answer": 1}\n{"id": \n', {}, r"rows\.jsonl, line 2: not JSON"),
        ("rows.jsonl", b"\n\n[1]\n", {}, "line 3: a list, not an object"),
        ("rows.jsonl", b'{"question": "Q", "id": 1}\n', {}, r"row 1: no field 'problem'; it has: question, id"),
        ("rows.jsonl", b'{"problem": "Q", "id": 1}\n', {}, r"row 1: no field 'answer'; it has: problem, id"),
        ("rows.jsonl", b'{"problem": "Q", "id": null, "answer": 1}\n', {}, "the field 'id' is no id: None"),
        ("rows.jsonl", '{"problem": "é"}\n'.encode("latin-1"), {}, r"line 1: not UTF-8 \(byte 13"),
        ("rows.csv", "id,problem,answer\n1,Q,2\n".encode("utf-16"), {}, "line 1: not UTF-8"),
        ("rows.csv", b"id,problem,answer\n1,a,b,2\n", {}, "row 1: 4 cells under 3 columns"),
        ("rows.csv", b'id,problem,answer\n1,"a,2\n', {}, "not CSV"),
        ("rows.csv", b"id,id,answer\n1,2,3\n", {}, "two columns of the same name"),
        ("rows.csv.gz", b"id,problem,answer\n1,Q,2\n", {}, "not whole gzip data"),
        ("rows.jsonl.gz", gzip.compress(b'{"problem": "Q", "id": 1, "answer": 1}\n', mtime=0)[:-9], {}, "not whole gzip data"),
        ("rows.parquet", b"PAR1 not", {}, "not a whole parquet file"),
        ("rows.csv", b"id,problem,answer\n7,Q,2\n7,R,3\n", {}, r"row 2: the id 'set-7' is there twice"),
        ("rows.jsonl", b'{"id": 1, "problem": "a\0b", "answer": 1}\n', {}, "line 1: not JSON"),
        ("rows.jsonl", b'{"id": 1, "problem": "Q", "answer": 1' + b"0" * 5000 + b"}\n", {}, "line 1: not JSON"),
        ("rows.csv", b"id,problem,answer\nx\0y,Q,2\n", {}, "the field 'id' is no id"),
        ("rows.jsonl", b'{"id": 1, "chat": [{"text": "Q"}], "answer": 1}\n', {"statement": "chat.1.text"}, "no field 'chat.1.text'"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(tmp_path: Path, name: str, data: bytes | None, fields: Any, message: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        collect(one_file(tmp_path / name, **fields), CONTEST, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("So $\\boxed{16}$, not \\boxed{7}.", None),
        ("Half: \\boxed{3}, in all \\boxed{\\frac{\\sqrt{2}}{2}}.", "answer not an integer"),
        ("It is 16.", "no answer"),
        ("It is \\boxed{16", "no answer"),
    ],
)
def test_an_answer_may_stand_in_the_last_box_of_a_solution(tmp_path: Path, solution: str, reason: str | None) -> None:
    path = jsonl(tmp_path / "rows.jsonl", {"id": 1, "problem": "Q", "steps": [{"text": solution}]})
    kept, dropped, _ = problems(one_file(path, answer="steps.0.text", answer_pattern="boxed"), tmp_path / "out")
    assert ([problem.answer for problem in kept], [row.reason for row in dropped]) == (([7], []) if reason is None else ([], [reason]))


def test_of_a_folder_all_tables_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    jsonl(folder / "b.jsonl", GOOD)
    (folder / "a.csv").write_text("id,problem,answer\n8,Q,2\n9,R,3\n", encoding="utf-8")
    (folder / "README.md").write_text("What this is.", encoding="utf-8")
    kept, _, measured = problems(one_file(folder, id=None), tmp_path / "out")
    assert [(problem.id, problem.answer) for problem in kept] == [("set-1", 2), ("set-2", 3), ("set-3", 5)]
    whole = (folder / "a.csv").read_bytes() + (folder / "b.jsonl").read_bytes()
    assert measured["sha256"] == hashlib.sha256(whole).hexdigest()
    jsonl(folder / "c.jsonl", GOOD)
    with pytest.raises(UserError, match=r"c\.jsonl, row 1: the id 'set-1' is there twice"):
        collect(one_file(folder), CONTEST, out=tmp_path / "again")


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match=r"set: no file in this folder ends in \.jsonl, .*or take params\.yaml: sources\.files\.set out"):
        collect(one_file(tmp_path / "set"), CONTEST, out=tmp_path / "out")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder's files."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_a_file_may_lie_at_an_address(tmp_path: Path, site: str) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(jsonl(tmp_path / "rows.jsonl", GOOD).read_bytes()))
    kept, _, _ = problems(one_file(f"{site}/rows.jsonl.gz"), tmp_path / "out")
    assert [problem.id for problem in kept] == ["set-1"]
    jsonl(tmp_path / "rows.jsonl", {})
    with pytest.raises(UserError, match=rf"{site}/rows\.jsonl, row 1: no field 'id'"):
        collect(one_file(f"{site}/rows.jsonl"), CONTEST, out=tmp_path / "wrong")
    with pytest.raises(UserError, match=rf"{site}/none\.jsonl: no such file there; mend params\.yaml: sources\.files\.set\.path"):
        collect(one_file(f"{site}/none.jsonl"), CONTEST, out=tmp_path / "none")


@pytest.mark.parametrize("address", ["s3://bucket/rows.jsonl", "sftpp://host/rows.jsonl"])
def test_an_address_that_needs_a_library_says_which_extra_to_install(tmp_path: Path, address: str) -> None:
    if address.startswith("s3") and importlib.util.find_spec("s3fs"):
        pytest.skip("the library is here")
    with pytest.raises(UserError, match=r"rows\.jsonl: .*`pip install 'aimo-forge\[s3\]'`, or name a local copy"):
        collect(one_file(address), CONTEST, out=tmp_path / "out")


def test_groups_limits_and_row_numbers(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", *[{"q": f"{n}?", "contest": n // 2} for n in range(9)])
    fields = {"id": None, "statement": "q", "answer": None, "group": "contest", "limit": 5}
    kept, _, _ = problems(one_file(path, **fields), tmp_path / "out")
    assert [(p.id, p.group, p.answer) for p in kept] == [(f"set-{n + 1}", f"set-{n // 2}", None) for n in range(5)]


def test_of_a_long_file_only_the_ids_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(rows, "ROW_GROUP", 100)

    def peak(num_rows: int) -> int:
        path = tmp_path / f"{num_rows}.jsonl"
        with path.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"id": n, "problem": "x" * 2000, "answer": n % 1000}) + "\n" for n in range(num_rows))
        tracemalloc.start()
        collect(one_file(path), CONTEST, out=tmp_path / f"out-{num_rows}")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)  # imports
    assert peak(2_000) - peak(400) < 1_600 * 200  # bytes; the statements have 2,000 each


# ---- public files --------------------------------------------------------------------------------------------------------


@real_data
def test_gsm8k_answers_come_from_behind_its_marks(tmp_path: Path) -> None:
    config = one_file(
        DATA / "gsm8k/train.jsonl.gz", name="gsm8k", licence="MIT", id=None, statement="question", answer_pattern="#### (.+)$"
    )
    kept, dropped, measured = problems(config, tmp_path / "out")
    assert len(kept) + len(dropped) == 7473
    assert set(measured["reasons"]) == {"answer out of range"}
    assert kept[0].answer == 72


@real_data
@pytest.mark.parametrize(
    ("path", "fields", "num_kept", "num_dropped"),
    [
        ("aime_1983_2024/AIME_Dataset_1983_2024.csv", {}, 982, 0),
        ("aimo_reference/aimo1_reference.csv", {}, 10, 0),
        ("aimo_reference/aimo2_reference.csv", {}, 10, 0),
        ("aimo_reference/aimo2_reference_retyped.csv", {"statement": "question"}, 10, 0),
        ("aimo_reference/aimo3_reference.csv", {}, 5, 5),
        ("aimo_reference/test.csv", {"answer": None}, 3, 0),
        ("aime25/aime_2025_30.csv", {"statement": "question"}, 30, 0),
        ("nemo_skills_contests/comp-math-24-25.jsonl", {"answer": "expected_answer"}, None, None),
        ("nemo_skills_outputs/contamination-example.jsonl", {"id": None, "answer": "expected_answer"}, None, None),
    ],
)
def test_contest_files_are_read(tmp_path: Path, path: str, fields: dict[str, Any], num_kept: int | None, num_dropped: int | None) -> None:
    kept, dropped, _ = problems(one_file(DATA / path, **fields), tmp_path / "out")
    assert kept
    assert all(problem.answer is None or 0 <= problem.answer <= 999 for problem in kept)
    if num_kept is not None:
        assert (len(kept), len(dropped)) == (num_kept, num_dropped)


@real_data
def test_an_exam_of_another_contest_is_refused(tmp_path: Path) -> None:
    config = one_file(DATA / "aimo_reference/aimo3_reference.csv", on_bad_answer="error")
    with pytest.raises(UserError, match=r"aimo3_reference\.csv, row \d+ .*answer out of range: \d+ is outside 0\.\.999"):
        collect(config, CONTEST, out=tmp_path / "out")
