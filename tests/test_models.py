"""Models and the exam as params.yaml names them: what is wrong is refused by name, and an entry more or less is a stage more or less."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.core import overlays
from components.core.errors import UserError
from components.core.models import Exam, Models, Origin
from components.core.params import PARAMS, read
from flows.graph import Graph
from tests import model_fixtures
from tests.stage_fixtures import tiny
from tests.workspace_fixtures import workspace

ROOT = Path(__file__).parents[1]
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    whole = copy.deepcopy(tiny())
    edit(whole)
    return whole


def put(name: str, value: object) -> Edit:
    """Writes one entry by its dotted name."""
    *parents, last = name.split(".")

    def edit(whole: dict[str, Any]) -> None:
        for parent in parents:
            whole = whole[parent]
        whole[last] = value

    return edit


WHO = {"model": "tir", "solve": "exam-tir", "judge": "tir"}
FOLDER = {"kind": "folder", "path": "elsewhere"}


# ---- the sections --------------------------------------------------------------------------------------------------


def test_every_model_is_there_with_its_stage_and_what_it_starts_from() -> None:
    origins = Models.check(edited(put("models.import.mine", FOLDER)), PARAMS).origins
    assert origins["base"] == Origin("fetch@base", None) and origins["mine"] == Origin("import@mine", None)
    assert origins["tir"] == Origin("train@tir", "cot") and origins["awq"] == Origin("quantize@awq", "genselect")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (put("models.import.tir", FOLDER), r"params\.yaml: models\.train\.tir: the name 'tir' is that of models\.import\.tir, too"),
        (put("models.import.base", FOLDER), r"models\.import\.base: the name 'base' is that of models\.fetch\.base, too"),
        (put("models.import", {"qwen2.5": FOLDER}), r"models\.import\.qwen2\.5: the name of an entry becomes a folder's and a stage's"),
        (put("models.train.tir.start", "coot"), r"models\.train\.tir\.start: no model 'coot', did you mean 'cot'\?; models has: base"),
        (put("models.quantize.awq.start", "x"), r"models\.quantize\.awq\.start: no model 'x'; models has: base"),
        (put("models.train.cot.start", "cot"), r"models\.train\.cot\.start: cot from cot: a model cannot start from itself"),
        (put("models.train.cot.start", "tir"), r"models\.train\.cot\.start: cot from tir from cot: a model cannot start from itself"),
        (lambda whole: whole["models"]["train"]["tir"].pop("start"), r"params\.yaml: models\.train\.tir: 'start' is missing"),
        (put("models.imports", {}), r"params\.yaml: models: unknown key 'imports', did you mean 'import"),
        (put("models.import", None), r"params\.yaml: models\.import: .* \(found: None\)"),
        (put("exam", {}), r"params\.yaml: exam: nobody takes it; name one"),
        (put("exam", None), r"params\.yaml: exam: nobody takes it; name one"),
        (put("exam.tir.model", "tri"), r"exam\.tir\.model: no model 'tri', did you mean 'tir'\?; models has: base"),
        (put("exam.tir.judge", "genselct"), r"exam\.tir\.judge: no model 'genselct', did you mean 'genselect'"),
        (put("exam.tir.solve", "exam-tri"), r"exam\.tir\.solve: no entry 'exam-tri', did you mean 'exam-tir'\?; solve has: teacher"),
        (put("exam.tir.solve", "common"), r"exam\.tir\.solve: no entry 'common'"),
        (put("exam.tir.modle", "tir"), r"params\.yaml: exam\.tir: unknown key 'modle', did you mean 'model'"),
        (put("exam.tir", {"model": "tir", "solve": "exam-tir"}), r"params\.yaml: exam\.tir: 'judge' is missing"),
        (put("exam", {"common": WHO}), r"exam\.common: the name of an entry"),
        (put("exam", {"a/b": WHO}), r"exam\.a/b: the name of an entry"),
    ],
)
def test_what_is_wrong_is_refused_by_its_key_and_the_nearest_name(edit: Edit, said: str) -> None:
    whole = edited(edit)
    with pytest.raises(UserError, match=said):
        Exam.check(whole, PARAMS)


def test_who_starts_from_an_examined_model_is_compared_with_it() -> None:
    whole = tiny()
    assert Exam.check(whole, PARAMS).compared(Models.check(whole, PARAMS)) == [
        ("base", "cot"), ("cot", "tir"), ("tir", "genselect"), ("genselect", "awq"), ("genselect", "fp8"),
    ]  # fmt: skip


def test_of_two_entries_of_one_model_the_first_is_compared_against_and_both_are_compared() -> None:
    again = {"tir-cot": {"model": "tir", "solve": "exam-cot", "judge": "tir"}}
    whole = edited(lambda whole: whole.update(exam={"tir": whole["exam"]["tir"], **again, "genselect": whole["exam"]["genselect"]}))
    assert Exam.check(whole, PARAMS).compared(Models.check(whole, PARAMS)) == [("tir", "genselect")]
    whole = edited(lambda whole: whole.update(exam={"cot": whole["exam"]["cot"], "tir": whole["exam"]["tir"], **again}))
    assert Exam.check(whole, PARAMS).compared(Models.check(whole, PARAMS)) == [("cot", "tir"), ("cot", "tir-cot")]


def test_a_model_from_elsewhere_is_compared_with_nobody() -> None:
    whole = edited(put("models.import.mine", FOLDER))
    whole["exam"] = {"mine": {"model": "mine", "solve": "exam-cot", "judge": "mine"}, "tir": whole["exam"]["tir"]}
    assert Exam.check(whole, PARAMS).compared(Models.check(whole, PARAMS)) == []


# ---- overlays ------------------------------------------------------------------------------------------------------


def project(root: Path, **profiles: str) -> Path:
    shutil.copytree(ROOT / "infra", root / "infra")
    (root / "components").symlink_to(ROOT / "components")
    for name, text in profiles.items():
        (root / f"infra/profiles/{name}.yaml").write_text(text, encoding="utf-8")
    return root


def test_an_overlay_can_say_who_alone_sits_the_exam(tmp_path: Path) -> None:
    root = project(tmp_path, one="exam: !replace {one: {model: base, solve: exam-tir, judge: base}}\n")
    overlays.use(["one"], root)
    assert list(Exam.load(root / PARAMS).examinees) == ["one"]
    overlays.use(["gpt-oss"], root)
    assert list(Exam.load(root / PARAMS).examinees) == ["gpt-oss"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exam: {mine: {model: mine, solve: exam-tir, judge: tir}}", r"over\.yaml: exam\.mine\.model: no model 'mine'"),
        ("exam: {tir: {judge: genselct}}", r"over\.yaml: exam\.tir\.judge: no model 'genselct', did you mean 'genselect'"),
        ("exam: !replace {}", r"over\.yaml: exam: nobody takes it"),
        ("models: {train: {genselect: !remove }}", r"over\.yaml: models\.quantize\.awq\.start: no model 'genselect'"),
        ("models: {import: {mine: {kind: folder, pth: x}}}", r"over\.yaml: models\.import\.mine: unknown key 'pth', did you mean 'path'"),
    ],
)
def test_what_names_no_model_is_refused_before_anything_is_written(tmp_path: Path, text: str, said: str) -> None:
    root = project(tmp_path, over=text)
    (root / PARAMS).write_text("before", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        overlays.use(["over"], root)
    assert (root / PARAMS).read_text(encoding="utf-8") == "before"


# ---- the graph -----------------------------------------------------------------------------------------------------

KEPT = ("code", "fetch", "import", "train", "quantize", "exam", "judge", "verify", "vote", "report")
FEW = """\
models: {quantize: !replace {}, train: {genselect: !remove }}
exam: !replace {tir: {model: tir, solve: exam-tir, judge: tir}}
solve: {practice: {model: base}}
promote: {challengers: []}
"""
SERVED = {"kind": "server", "served_model_name": "org/theirs", "path": "elsewhere"}
ASKED = {name: {"model": name, "solve": "exam-tir", "judge": name} for name in ("mine", "theirs")}
FAMILIES = ("import", "exam", "judge", "verify", "vote")


def settled(root: Path) -> Path:
    """The project's own stages of models and exams, as they are once all ran; what they wrote, and what they read beside, is made up."""
    workspace(root)
    for name in ("components", "infra"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    model_fixtures.make(root / "elsewhere")
    whole = read(ROOT / "dvc.yaml")
    (root / "dvc.yaml").write_text(
        json.dumps({"vars": whole["vars"], "stages": {name: whole["stages"][name] for name in KEPT}}), encoding="utf-8"
    )
    (root / "infra/profiles/few.yaml").write_text(FEW, encoding="utf-8")
    overlays.use(["few"], root)
    for name in ("cot", "tir"):
        made_up(root / "data/sft" / name / "examples.parquet")
        made_up(root / f"reports/validation/{name}.json")
    for name in ("data/problems/exam.parquet", "reports/validation/problems.json"):
        made_up(root / name)
    commit(root, set(Graph.read(root).order))
    return root


def made_up(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name, encoding="utf-8")


def commit(root: Path, stages: set[str]) -> None:
    graph = Graph.read(root)
    for stage in stages:
        for out in graph.stages[stage].outs:
            if out == "code":
                for component in (root / "components").iterdir():
                    made_up(root / "code" / f"{component.name}.json")
                made_up(root / "code/remark.json")
            else:
                made_up(root / out / "file" if out.startswith("models/") or out.endswith("plots") else root / out)
    graph.commit(name for name in graph.order if name in stages)


def test_a_model_from_elsewhere_is_a_few_stages_more_and_later_less(tmp_path: Path) -> None:
    root = settled(tmp_path / "project")
    before = Graph.read(root)
    assert before.changed() == set()

    overlay = {"models": {"import": {"mine": FOLDER, "theirs": SERVED}}, "exam": ASKED}
    (root / "infra/profiles/mine.yaml").write_text(json.dumps(overlay), encoding="utf-8")
    overlays.use(["few", "mine"], root)
    more = Graph.read(root)
    new = {f"{family}@{name}" for family in FAMILIES for name in ASKED}
    assert set(more.order) - set(before.order) == new
    assert more.changed() == {*new, "report"}
    assert all(more.stages[name] == step for name, step in before.stages.items() if name != "report")
    for name in ASKED:
        assert more.with_upstream({f"vote@{name}"}) == {"code", *(f"{family}@{name}" for family in FAMILIES)}

    commit(root, {*new, "report"})
    assert Graph.read(root).changed() == set()
    assert more.entry("judge@mine") and (root / "runs/exam/mine/votes.parquet").exists() and (root / "models/mine").exists()

    overlays.use(["few"], root)
    less = Graph.read(root)
    assert less.order == before.order and less.changed() == {"report"}
    less.normalize_lock()
    assert all(not less.entry(stage) for stage in new)
    for name in ASKED:
        assert not (root / "models" / name).exists() and not list((root / "runs/exam" / name).glob("*"))
        assert not list((root / "reports/metrics").glob(f"*@{name}.json"))
    assert (root / "models/tir").exists() and (root / "runs/exam/tir/votes.parquet").exists() and (root / "elsewhere").exists()
