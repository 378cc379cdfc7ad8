"""The report's page: it runs nothing, asks nobody and shows what the stages measured; of its pieces some may be missing."""

from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Problem
from components.report.funnel import funnel
from tests.report_fixtures import FIRST, MEASURED, NASTY, VALIDATED, VOTED, Tags, exam, reported, small_files, workspace, write_exam
from tests.row_fixtures import run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workspace(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    reported(root)
    return (root / "index.html").read_text(encoding="utf-8")


def test_the_page_asks_nobody(page: str) -> None:
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("src=") == page.count('<script src="machine.js"></script>') == 1
    assert "url(http" not in page
    for tag, attributes in Tags(page).tags:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attributes)
        assert all((attributes.get(name) or "#").startswith("#") for name in ("href", "xlink:href"))


def test_what_models_and_sources_wrote_is_text(tmp_path: Path) -> None:
    exam(tmp_path, NASTY)
    write_exam(tmp_path, "first", [[7, 3]] * 4, {"majority": [7] * 4}, text=NASTY)
    block = f"</tool_call>\n```output\n{NASTY}\n```\n"
    write_exam(tmp_path, "second", [[7]] * 4, {"majority": [7] * 4}, text=f"<tool_call>\n1{block}", cells=(run("1", NASTY),))
    small_files(tmp_path, MEASURED, VALIDATED, curve=False)
    reported(tmp_path, k_values=[1])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    read = Tags(page)
    assert page.count("<script") == [tag for tag, _ in read.tags].count("script") == 2, "the page's own"
    statements, candidates, outputs, engine, first_ids = 4, 8, 4, 1, 1
    assert read.text.count(NASTY) == statements + candidates + outputs + engine + first_ids
    opened = [tag for tag, _ in read.tags]
    assert page.count("</pre>") == opened.count("pre")
    assert page.count("</details>") == opened.count("details")


def test_the_page_tells_what_the_stages_measured(page: str) -> None:
    text = Tags(page).text.replace("\u00a0", " ")
    for told in (
        "3.02 MB",
        "1.2 MB",
        "0.398",
        "0.0412",
        "0.0703",
        "1 of 2 expectations hold",
        "values to be unique",
        "8 stop, 4 cancelled",
    ):
        assert told in text, told


def test_the_funnel_goes_the_way_of_the_data() -> None:
    steps = {step.stage: step for step in funnel(dict(sorted(MEASURED.items())))}
    assert list(steps) == ["generate@exam", "collect@forum", "extract", "curate", "compose@cot"]
    assert steps["generate@exam"][1:] == ({"drawn": 17}, {"other split class": 10, "repeats": 3}, {"problems": 4})
    assert steps["collect@forum"][1:] == ({"rows": 6}, {"topic empty": 1}, {"topics": 5})
    assert steps["extract"][1:] == ({"topics": 5}, {"proof": 2}, {"problems": 3})
    assert steps["curate"].dropped == {"duplicate": 22, "contaminated": 1}
    assert steps["curate"].written == {"train": 1300, "practice": 179, "exam": 4}
    assert steps["compose@cot"][1:] == ({"rows": 1190}, {"wrong answer": 90}, {"rows": 1100})


def test_the_same_inputs_give_the_same_bytes(root: Path, page: str, tmp_path: Path) -> None:
    again = workspace(tmp_path)
    reported(again)
    assert (again / "index.html").read_text(encoding="utf-8") == page
    assert (again / "plots/accuracy.csv").read_bytes() == (root / "plots/accuracy.csv").read_bytes()


@pytest.mark.parametrize("lost", ["metrics/exam@first.json", "metrics/curate.json", "validation/problems.json", "losses/first.csv"])
def test_a_small_file_that_is_missing_leaves_its_table_out(lost: str, tmp_path: Path) -> None:
    exam(tmp_path)
    write_exam(tmp_path, "first", FIRST, VOTED)
    small_files(tmp_path, MEASURED, VALIDATED, curve=True)
    (tmp_path / lost).unlink()
    reported(tmp_path, examined=["first"], resamples=50)
    assert "Accuracy by model" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_does_not_fit_the_exam_is_refused(tmp_path: Path) -> None:
    exam(tmp_path)
    write_exam(tmp_path, "first", [*FIRST, [7]], {"majority": [7] * 5})
    small_files(tmp_path, {}, {}, curve=False)
    alone: dict[str, object] = {"examined": ["first"]}
    with pytest.raises(UserError, match=r"exam.first.candidates\.parquet: problem 'p4' is not in the exam; `dvc repro`"):
        reported(tmp_path, **alone)
    write_exam(tmp_path, "first", FIRST[:3], {"majority": [7] * 3})
    with pytest.raises(UserError, match=r"votes\.parquet: no vote by majority on problem 'p3'"):
        reported(tmp_path, **alone)
    with pytest.raises(UserError, match=r"exam.other.candidates\.parquet: no such file"):
        reported(tmp_path, examined=["other"])
    rows.write(tmp_path / "problems/exam.parquet", [], Problem)
    with pytest.raises(UserError, match=r"exam\.parquet: holds no problem; see `use: exam`"):
        reported(tmp_path, **alone)
