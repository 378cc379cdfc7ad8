"""The stage curate: how groups are split, what the exam and the benchmarks keep to themselves, and the sets that come out."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Dropped, Problem
from components.curate.features import is_practice
from components.curate.llm_decontamination import LlmDecontamination, Nearest, Verdict, says_same
from components.curate.stage import Curate, CurateCluster, curate
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.protocol import EngineError
from components.lib.similarity import Tfidf
from tests.row_fixtures import problem, sources

ROOT = Path(__file__).parents[1]
CONFIG = Curate(
    extracted="data/extracted",
    seed=1,
    num_perm=128,
    num_bands=32,
    near_duplicate_jaccard=0.5,
    sentence_jaccard=0.2,
    contamination_jaccard=0.5,
    ngram_size=8,
    min_ngram_overlap=0.8,
    allowed_benchmarks=[],
    keep_unanswered=False,
    drop_suspects=False,
    practice_share=0.2,
    llm_decontamination=LlmDecontamination(engine=None, model="none", nearest=None, both_orders=True, max_tokens=16, num_concurrent=2),
)


def test_a_group_s_side_hangs_on_its_name_alone_and_the_share_is_met() -> None:
    sides = [is_practice(f"group {number}", share=0.2, seed=1) for number in range(5000)]
    assert abs(sum(sides) / 5000 - 0.2) < 0.02
    assert sides != [is_practice(f"group {number}", share=0.2, seed=2) for number in range(5000)]
    assert not any(is_practice(f"{number}", share=0.0, seed=1) for number in range(100))
    assert all(is_practice(f"{number}", share=1.0, seed=1) for number in range(100))


WORDS = (
    "apples",
    "bricks",
    "cups",
    "doors",
    "eggs",
    "figs",
    "goats",
    "hats",
    "inks",
    "jars",
    "kites",
    "lamps",
    "maps",
    "nuts",
    "oars",
    "pins",
)
GENERATED = [
    problem(f"g{number}-{wording}", number, text.format(thing, number)).model_copy(update={"group": f"{thing} {number}"})
    for number, thing in enumerate(WORDS * 6)
    for wording, text in enumerate(("Start from {1} {0}: tell what is left", "The number {1} belongs to which heap of {0}"))
]
FILES = [
    problem("f1", 4, "How many ways are there to seat 4 guests at 9 tables?"),
    problem("f2", 4, "How many  ways are there to seat $4$ guests at $9$ tables ?"),
    problem("f3", 5, "Find the largest prime below 31."),
    problem("f4", 6, "Find the largest prime below $31$."),
    problem("f5", None, "What is love?"),
    problem("f6", 4, "In how many ways can one choose 3 of 17 cards and one of 5 stones?"),
    problem("f7", 4, "In how many ways can one choose 4 of 18 cards and one of 6 stones?"),
]
ASKED = [problem("e1", 4, "In how many ways can one choose 3 of 17 cards and one of 5 stones?"), problem("e2", None, "Unanswered?")]


WHERE = EngineHosts.load(ROOT), CurateCluster(cluster=None)
USES = {"generated": "train", "files": "train", "olympic": "benchmark", "poems": "benchmark", "test": "exam"}


def run(
    folder: Path, config: Curate = CONFIG, cluster: str | None = None, **inputs: list[Problem]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    given = {"generated": GENERATED, "files": FILES, "olympic": [], "poems": [], "test": ASKED, "extracted": [], **inputs}
    places = {name: folder / "raw" / use / name for name, use in USES.items()} | {"extracted": folder / "extracted"}
    for name, problems in given.items():
        rows.write(places[name] / "problems.parquet", problems, Problem)
    engines, raw = Engines.load(ROOT / "params.yaml"), folder / "raw"
    hosts, where = EngineHosts.load(ROOT), CurateCluster(cluster=cluster)
    measured = curate(config, engines, sources(USES), hosts, where, raw=raw, extracted=places["extracted"], out=folder / "out", work=folder)
    kinds: dict[str, type[Any]] = {"train": Problem, "practice": Problem, "exam": Problem, "dropped": Dropped, "suspects": Dropped}
    return measured, {name: list(rows.read(folder / "out" / f"{name}.parquet", kind)) for name, kind in kinds.items()}


def test_every_row_is_kept_once_or_dropped_with_a_reason(tmp_path: Path) -> None:
    measured, out = run(tmp_path)
    given = [*GENERATED, *FILES, *ASKED]
    assert sorted(row.id for name in ("train", "practice", "exam", "dropped") for row in out[name]) == sorted(row.id for row in given)
    assert {row.id: (row.reason, row.other) for row in out["dropped"]} == {
        "f2": ("duplicate", "f1"),
        "f3": ("conflict", "f4"),
        "f4": ("conflict", "f3"),
        "f5": ("no answer", None),
        "f6": ("contaminated", "e1"),
        "e2": ("no answer", None),
    }
    assert [(row.id, row.other) for row in out["suspects"]] == [("f7", "e1")]
    assert measured["read"] == {"generated": 192, "files": 7, "test": 2}
    assert measured["dropped"]["no answer"] == {"files": 1, "test": 1}
    assert measured["kept"] == {"generated": 192, "files": 2, "test": 1}


def test_no_group_sits_on_two_sides_and_a_new_row_moves_no_other(tmp_path: Path) -> None:
    _, out = run(tmp_path / "before")
    sides = {row.id: name for name in ("train", "practice") for row in out[name]}
    assert not {row.group for row in out["train"]} & {row.group for row in out["practice"]}
    assert {*sides.values()} == {"train", "practice"}
    _, more = run(tmp_path / "after", extracted=[problem("n1", 3, "A wholly new question about 77 zebras.")])
    assert sides.items() <= {row.id: name for name in ("train", "practice") for row in more[name]}.items()


OLYMPIC = [
    problem("x1", None, "How many ways are there to seat $4$ guests at $9$ tables?").model_copy(update={"source": "olympic"}),
    problem("x2", None, "Find the largest prime below 31, and prove that it is one.").model_copy(update={"source": "olympic"}),
]
POEMS = [problem("x3", None, "What is love?").model_copy(update={"source": "poems"})]


def test_what_a_benchmark_asks_is_dropped_under_its_name_and_the_index_is_kept(tmp_path: Path) -> None:
    measured, out = run(tmp_path, olympic=OLYMPIC, poems=POEMS)
    assert {row.id: (row.detail, row.other) for row in out["dropped"] if row.reason == "contaminated"} == {
        "f1": ("olympic: exact", "x1"),
        "f6": ("test: exact", "e1"),
    }
    assert measured["benchmarks"] == {"olympic": 2, "poems": 1, "test": 2}
    index = list(rows.read(tmp_path / "out/benchmarks.parquet", Problem))
    assert [(row.id, row.source) for row in index] == [(row.id, row.source) for row in [*ASKED, *OLYMPIC, *POEMS]]


def test_rows_of_a_tolerated_benchmark_stay_and_name_it(tmp_path: Path) -> None:
    measured, out = run(tmp_path, CONFIG.model_copy(update={"allowed_benchmarks": ["olympic"]}), olympic=OLYMPIC, poems=POEMS)
    kept = {row.id: row.contaminated_by for row in [*out["train"], *out["practice"]]}
    assert {name: by for name, by in kept.items() if by} == {"f1": ("olympic",)}
    assert measured["allowed_benchmarks"] == {"olympic": 1}
    assert "f6" not in kept


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "olympics",
            r"curate\.allowed_benchmarks: no benchmark 'olympics', did you mean 'olympic'\?; there are: olympic, poems",
        ),
        ("test", r"curate\.allowed_benchmarks: 'test' is the exam's; its problems may not be trained on"),
    ],
)
def test_a_benchmark_that_vanished_or_is_the_exam_cannot_be_tolerated(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        run(tmp_path, CONFIG.model_copy(update={"allowed_benchmarks": [name]}), olympic=OLYMPIC, poems=POEMS)


def test_nothing_but_the_sets_is_left_beside_them(tmp_path: Path) -> None:
    run(tmp_path)
    names = ("benchmarks", "dropped", "exam", "practice", "solutions", "suspects", "train", "verdicts")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.parquet" for name in names]


def asking(folder: Path, replies: dict[str, str], **fields: object) -> Curate:
    """A config whose suspects are put to a model that replies as recorded."""
    lines = [json.dumps({"key": key, "reply": reply}) for key, reply in replies.items()]
    folder.mkdir(exist_ok=True)
    (folder / "said.jsonl").write_text("\n".join(lines), encoding="utf-8")
    llm_decontamination = CONFIG.llm_decontamination.model_copy(
        update={"engine": "scripted", "model": str(folder / "said.jsonl"), **fields}
    )
    return CONFIG.model_copy(update={"llm_decontamination": llm_decontamination})


@pytest.mark.parametrize(
    ("replies", "both_orders", "confirmed"),
    [
        ({"f7/test/e1/same": "Same."}, False, 1),
        ({"f7/test/e1/same": "different", "f7/test/e1/same-back": "same"}, True, 1),
        ({"f7/test/e1/same": "different", "f7/test/e1/same-back": "Different: 4 of 18."}, True, 0),
        ({"f7/test/e1/same": "They are the same.", "f7/test/e1/same-back": ""}, True, 0),
    ],
)
def test_a_suspect_that_a_model_calls_the_same_is_contaminated(
    tmp_path: Path, replies: dict[str, str], both_orders: bool, confirmed: int
) -> None:
    measured, out = run(tmp_path, asking(tmp_path, replies, both_orders=both_orders))
    gone = {row.id: (row.reason, row.detail, row.other) for row in out["dropped"] if row.id == "f7"}
    assert gone == ({"f7": ("contaminated", "test: a model calls them the same", "e1")} if confirmed else {})
    assert [row.id for row in out["suspects"]] == ([] if confirmed else ["f7"])
    assert measured["llm_decontamination"]["same"] == confirmed


def test_a_model_that_dies_half_way_is_asked_only_what_is_left(tmp_path: Path) -> None:
    files = [*FILES, problem("f8", 5, "In how many ways can one choose 5 of 19 cards and one of 7 stones?")]
    given = asking(tmp_path, {"f7/test/e1/same": "same"}, both_orders=False, num_concurrent=1)
    with pytest.raises(EngineError, match="f8/test/e1/same"):
        run(tmp_path, given, files=files)
    (tmp_path / "said.jsonl").write_text(json.dumps({"key": "f8/test/e1/same", "reply": "different"}), encoding="utf-8")
    measured, out = run(tmp_path, given, files=files)
    assert measured["llm_decontamination"] == {"pairs": 2, "same": 1}
    assert [row.id for row in out["suspects"]] == ["f8"]


def test_only_the_first_word_of_a_verdict_counts() -> None:
    assert [says_same(text) for text in ("same", "**Same**: yes", "sameness", "not the same", "")] == [True, True, False, False, False]


def test_suspects_are_dropped_where_params_say_so(tmp_path: Path) -> None:
    _, out = run(tmp_path, CONFIG.model_copy(update={"drop_suspects": True}))
    assert ("f7", "suspect") in {(row.id, row.reason) for row in out["dropped"]}


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two")
    for path in sorted((tmp_path / "one" / "out").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / "out" / path.name).read_bytes()


def test_one_id_in_two_sources_is_the_user_s_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"files.problems\.parquet, row 1: id 'g0-0' is taken by a row of .*generated"):
        run(tmp_path, files=[GENERATED[0]])


def test_a_folder_that_no_source_names_is_told_of_and_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows.write(tmp_path / "raw/train/gone/problems.parquet", [problem("n1", 3, "A wholly new question about 77 zebras.")], Problem)
    with caplog.at_level("INFO"):
        measured, _ = run(tmp_path)
    assert "gone" not in measured["read"]
    assert f"{tmp_path / 'raw/train/gone'}: not read, no entry of `sources`" in caplog.text


def test_sources_are_taken_in_the_order_of_the_params(tmp_path: Path) -> None:
    _, one = run(tmp_path)
    uses = {"files": "train", "generated": "train", "test": "exam"}
    curate(
        CONFIG, Engines.load(ROOT / "params.yaml"), sources(uses), *WHERE, raw=tmp_path / "raw", extracted=tmp_path / "extracted",
        out=tmp_path / "other", work=tmp_path,
    )  # fmt: skip
    other = list(rows.read(tmp_path / "other/train.parquet", Problem))
    assert sorted(row.id for row in other) == sorted(row.id for row in one["train"])
    assert (one["train"][0].id[0], other[0].id[0]) == ("g", "f")


def test_without_an_exam_nothing_is_curated(tmp_path: Path) -> None:
    uses = {name: use for name, use in USES.items() if use != "exam"}
    with pytest.raises(UserError, match=r"sources: no entry with `use: exam`"):
        curate(
            CONFIG, Engines.load(ROOT / "params.yaml"), sources(uses), *WHERE, raw=tmp_path, extracted=tmp_path, out=tmp_path, work=tmp_path
        )


def test_permutations_must_fill_the_bands(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"curate\.num_perm: 128 permutations do not make 30 equal bands"):
        run(tmp_path, CONFIG.model_copy(update={"num_bands": 30}))


def test_a_problem_retold_in_other_words_goes_where_a_model_knows_it_again(tmp_path: Path) -> None:
    """No rule finds it: less than half of its word pairs are the benchmark's."""
    asked = [problem("e9", 4, "Find the number of positive divisors of 360 that are perfect squares.")]
    retold = problem("f9", 4, "Among the divisors of 360, count those that are perfect squares and positive.")
    assert [row.id for row in run(tmp_path / "alone", files=[retold], test=asked)[1]["suspects"]] == []
    nearest = Nearest(similarity=Tfidf(by="tfidf"), min_similarity=0.3)
    given = asking(tmp_path, {"f9/test/e9/same": "same"}, both_orders=False, nearest=nearest)
    measured, out = run(tmp_path, given, generated=[], files=[retold, FILES[0]], test=asked)
    assert measured["llm_decontamination"] == {"pairs": 1, "same": 1}
    assert {row.id: row.reason for row in out["dropped"]} == {"f9": "contaminated"}
    (verdict,) = rows.read(tmp_path / "out" / "verdicts.parquet", Verdict)
    assert (verdict.id, verdict.problem, verdict.how[:6], verdict.replies) == ("f9", "e9", "cosine", ("same",))
