"""The stage that composes training sets: nothing lost uncounted, the same bytes twice, slices, majorities, the card."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.compose import dataset_card, missing_answers, slices
from components.compose.missing_answers import FillMajorityAnswer
from components.compose.slices import Slice
from components.core import rows
from components.core.errors import UserError
from components.core.types import Annotation, Candidate, PseudoLabel
from components.lib.pinned import digest
from tests import compose_fixtures
from tests.compose_fixtures import config, run
from tests.row_fixtures import candidate, problem
from tests.row_fixtures import run as cell


def pool(num: int = 6) -> tuple[list, list]:  # type: ignore[type-arg]
    """Problems with a wrong and a right chain of thought each."""
    problems = [problem(f"p{i}", answer=i) for i in range(num)]
    return problems, [candidate(i if kind else 99, f"p{i}", index=kind) for i in range(num) for kind in (0, 1)]


def test_every_attempt_is_kept_or_left_out_with_its_reason(tmp_path: Path) -> None:
    found = run(config("cot", max_rows=4), tmp_path, *pool())
    assert len(found.kept) == 4 == found.metrics["rows"]
    assert found.metrics["dropped"] == {"wrong answer": 6, "more than max_rows": 2} == Counter(row.reason for row in found.dropped)
    assert sorted(row.id for row in [*found.kept, *found.dropped]) == sorted(f"cot/p{i}/{kind}" for i in range(6) for kind in (0, 1))
    assert found.metrics["counts"] == {"problems": 6, "attempts": 12, "attempts_of_mode": 12, "pseudo_labels": 0}


def test_two_builds_are_the_same_bytes_card_included(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(config("cot", max_rows=4), tmp_path, *pool(), name=name)
    for suffix, names in (("", ("examples.parquet", "dropped.parquet", "stats.json")), ("-card", ("card.md",))):
        for name in names:
            assert (tmp_path / f"one{suffix}" / name).read_bytes() == (tmp_path / f"two{suffix}" / name).read_bytes().replace(
                b"# two", b"# one"
            )


def test_a_row_s_fate_hangs_on_no_other_row(tmp_path: Path) -> None:
    problems, attempts = pool(40)
    few = run(config("cot", max_rows=10), tmp_path, problems, attempts)
    kept = {row.id for row in few.kept}
    fewer = run(config("cot", max_rows=10), tmp_path, problems[:20], attempts[:40], name="fewer")
    assert kept & {f"cot/p{i}/1" for i in range(20)} <= {row.id for row in fewer.kept}


def test_no_fit_attempt_is_an_error_and_so_is_another_order(tmp_path: Path) -> None:
    problems, attempts = pool(2)
    with pytest.raises(UserError, match=r"not one attempt is fit for the set 'cot'; left out: \{'wrong answer': 2\}"):
        run(config("cot"), tmp_path, problems, attempts[0::2])
    with pytest.raises(UserError, match=r"problem 'p0' is not in .*problems.parquet, or the two are not in one order"):
        run(config("cot"), tmp_path, problems, [*attempts[2:], *attempts[:2]], name="again")


def test_a_set_that_breaks_off_leaves_no_half_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Candidate]:
        yield from (candidate(index=number) for number in range(2 * rows.ROW_GROUP))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rows.write(tmp_path / "half.parquet", broken(), Candidate)
    assert not list(tmp_path.iterdir())


def test_the_card_tells_the_way_the_licences_the_makers_and_the_defects(tmp_path: Path) -> None:
    problems, attempts = pool()
    problems[0] = problems[0].model_copy(update={"licence": "none stated"})
    found = run(config("cot", max_rows=4), tmp_path, problems, attempts)
    card, page = found.card, (tmp_path / "out-card/card.md").read_text(encoding="utf-8")
    assert list(card["funnel"].values()) and card["funnel"]["rows"] == 4 and card["funnel"]["rows that could be made"] == 6
    assert (
        sum(card["stats"]["licences"].values()) == sum(card["stats"]["answers"].values()) == sum(card["stats"]["characters"].values()) == 4
    )
    assert card["pass_rates"] == {"0.5": 6}
    assert card["dropped_by_curate"] == {"duplicate": 1}
    assert card["prompts"] == {"cot.md": digest(compose_fixtures.ROOT / "components/lib/prompts/cot.md")}
    assert {"components/compose/kinds/cot.py", "components/core/rows.py", "components/lib/tool_syntax.py"} <= set(card["code"])
    assert not any(name.startswith(("components/train", "components/validate")) for name in dataset_card.code_digests())
    assert "4 of 4 rows come from one source, test" in page and card["examples"][0] in page and "| wrong answer | 6 |" in page


def test_facts_describe_the_rows_that_stay_and_no_other(tmp_path: Path) -> None:
    found = run(config("cot", max_rows=3), tmp_path, *pool(200))
    answers = Counter(f"{int(row.problem[1:]) // 100 * 100}-{int(row.problem[1:]) // 100 * 100 + 99}" for row in found.kept)
    assert found.card["stats"]["answers"] == answers and found.card["stats"]["rows"] == 3


# ---- slices ------------------------------------------------------------------------------------------------------------


def part(**fields: object) -> Slice:
    nothing = {"sources": [], "pass_rate": None, "pass_rate_mode": None, "tokens": None, "difficulty": None}
    return Slice.model_validate({**nothing, **fields})


NINTH = {
    "long": part(pass_rate="(0.5, 1]", tokens="(12800, inf)", pass_rate_mode="cot"),
    "middling": part(pass_rate="[0.5, 0.75]", pass_rate_mode="cot"),
    "unsolved": part(pass_rate="[0, 0]", pass_rate_mode="cot"),
    "light-r1": part(sources=["light-r1-stage-2"]),
}
"""The 9th place's training data (its README), as four slices of params.yaml."""


def tries(right: int, of: int, tokens: int = 100, mode: str = "cot") -> list[Candidate]:
    return [candidate(7 if i < right else 3, index=i, num_tokens=tokens, mode=mode) for i in range(of)]


@pytest.mark.parametrize(
    ("name", "attempts", "taken"),
    [
        ("long", tries(3, 4, tokens=12_801), 4),
        ("long", tries(3, 4, tokens=12_800), 0),
        ("long", tries(2, 4, tokens=20_000), None),
        ("middling", tries(2, 4), 4),
        ("middling", tries(3, 4), 4),
        ("middling", tries(4, 5), None),
        ("unsolved", tries(0, 4), 4),
        ("unsolved", tries(1, 4), None),
        ("unsolved", [], None),
        ("light-r1", tries(1, 4), None),
    ],
)
def test_the_ninth_place_s_slices_are_settings(name: str, attempts: list[Candidate], taken: int | None) -> None:
    found = slices.taken([NINTH[name]], problem(), attempts)
    assert (None if found is None else len(found)) == taken


def test_a_source_of_its_own_is_a_slice_and_several_slices_add_up() -> None:
    light = problem().model_copy(update={"source": "light-r1-stage-2"})
    assert slices.taken(list(NINTH.values()), light, tries(1, 4)) == tries(1, 4)
    assert slices.taken(list(NINTH.values()), problem(), tries(2, 4)) == tries(2, 4)
    assert slices.taken(list(NINTH.values()), problem(), tries(1, 4)) is None
    assert slices.taken([], problem(), tries(1, 4)) == tries(1, 4)


@pytest.mark.parametrize(
    ("right", "of", "interval", "inside"),
    [
        (1, 8, "(0.1, 0.9)", True),
        (7, 8, "(0.1, 0.9)", True),
        (0, 8, "(0.1, 0.9)", False),
        (8, 8, "(0.1, 0.9)", False),
        (7, 8, "[0, 0.875]", True),
        (8, 8, "[0, 0.875]", False),
        (3, 10, "[0, 0.3]", True),
        (4, 10, "[0, 0.3]", False),
    ],
)
def test_hardness_filters_are_intervals_of_the_pass_rate(right: int, of: int, interval: str, inside: bool) -> None:
    assert (slices.taken([part(pass_rate=interval)], problem(), tries(right, of)) is not None) == inside


def test_the_pass_rate_can_be_that_of_another_mode_and_called_off_attempts_do_not_count() -> None:
    mixed = [*tries(2, 2, mode="cot"), *(one.model_copy(update={"index": 2 + one.index}) for one in tries(0, 2, mode="tir"))]
    called_off = candidate(None, index=9, finish_reason="cancelled", rank=None)
    assert slices.pass_rate(problem(), mixed, None) == 0.5
    assert slices.pass_rate(problem(), mixed, "tir") == 0.0
    assert slices.pass_rate(problem(), [*tries(1, 2), called_off], None) == 0.5
    assert slices.pass_rate(problem(answer=None), mixed, None) is None


@pytest.mark.parametrize("wrong", ["0.1, 0.9", "(0.9, 0.1)", "[1]", "(a, b)"])
def test_an_interval_that_is_none_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(UserError, match=r"slices\[0\].pass_rate: .*write an interval as \(0.1, 0.9\)"):
        config("cot", common={"slices": [{**part().model_dump(), "pass_rate": wrong}]})


def test_what_no_slice_takes_is_counted(tmp_path: Path) -> None:
    problems, attempts = pool()
    short = [one.model_copy(update={"num_tokens": 5}) if one.problem == "p0" else one for one in attempts]
    found = run(config("cot", common={"slices": [part(tokens="[10, inf)").model_dump()]}), tmp_path, problems, short)
    assert found.metrics["dropped"] == {"in no slice": 2, "wrong answer": 5}
    assert {row.id for row in found.dropped if row.reason == "in no slice"} == {"cot/p0/0", "cot/p0/1"}


# ---- golds by majority, verdicts without a model --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "answers", "filled"),
    [
        (None, [5, 5, 7, None], (5, 2, 3)),
        (None, [5, 7], None),  # a tie
        (None, [None, None], None),
        (None, [5, None, None, None], None),  # one vote
        (None, [5, 5, 1, 2, 3], None),  # 40 %
        (7, [5, 5, 5], None),  # what someone wrote down stays
    ],
)
def test_a_majority_fills_only_what_is_missing_and_clear(
    known: int | None, answers: list[int | None], filled: tuple[int, ...] | None
) -> None:
    attempts = [candidate(answer, index=i) for i, answer in enumerate(answers)]
    found = missing_answers.majority_answer(problem(answer=known), attempts, FillMajorityAnswer(min_votes=2, min_share=0.5))
    assert (found and (found.answer, found.votes, found.total)) == filled


def test_filled_golds_train_and_are_told(tmp_path: Path) -> None:
    attempts = [candidate(answer, "p", index=i, text=f"{i}</think>") for i, answer in enumerate([5, 5, 7])]
    with pytest.raises(UserError, match=r"\{'no verdict': 3\}"):
        run(config("cot"), tmp_path, [problem(answer=None)], attempts)
    found = run(
        config("cot", common={"fill_majority_answer": {"min_votes": 2, "min_share": 0.5}}),
        tmp_path,
        [problem(answer=None)],
        attempts,
        name="in",
    )
    assert [row.id for row in found.kept] == ["cot/p/0", "cot/p/1"] and found.metrics["dropped"] == {"wrong answer": 1}
    assert list(rows.read(found.out / "pseudo_labels.parquet", PseudoLabel)) == [PseudoLabel(problem="p", answer=5, votes=2, total=3)]
    assert any("majority" in defect for defect in found.card["defects"])


# ---- what models said ------------------------------------------------------------------------------------------------------


def said(about: str, text: str, index: int = 0) -> Annotation:
    return Annotation.model_validate({"problem": "p", "shown": (index,), "kind": about, "part": None, "text": text, "num_tokens": 1})


def test_an_ending_is_replaced_by_the_longest_summary_that_answers_the_same(tmp_path: Path) -> None:
    text = "<think>\nIt is \\boxed{7}.\nBut let me doubt.\n</think>\nold \\boxed{7}"
    attempts = [candidate(7, "p", index=i, text=text + " " * i) for i in (0, 1)]
    endings = ["so \\boxed{7}", "at length, thus \\boxed{7}", "the longest of all of them, though \\boxed{8}"]
    found = run(config("cot", summaries=True), tmp_path, [problem()], attempts, [said("summary", one) for one in endings])
    assert [row.messages[1].content for row in found.kept] == ["<think>\nIt is \\boxed{7}.\n</think>\nat length, thus \\boxed{7}"]
    assert found.metrics["dropped"] == {"no valid summary": 1}


def test_an_answer_that_no_program_can_compare_is_right_where_the_judge_says_so(tmp_path: Path) -> None:
    attempts = [candidate(None, "p", index=i, text=f"attempt {i}: \\boxed{{seven}}", abstained="not an integer") for i in range(4)]
    judged = [said("judgement", "Verdict: yes", 0), said("judgement", "Verdict: no", 1), said("judgement", "who knows", 2)]
    found = run(config("cot"), tmp_path, [problem()], attempts, judged)
    assert [row.id for row in found.kept] == ["cot/p/0"]
    assert found.metrics["dropped"] == {"no answer: not an integer": 3}


def test_a_run_of_two_modes_gives_each_set_its_own(tmp_path: Path) -> None:
    attempts = [candidate(7, index=0), candidate(7, index=1, runs=(cell(),))]
    both = [run(config(key), tmp_path, [problem()], attempts, name=key) for key in ("cot", "tir")]
    assert [[row.id for row in one.kept] for one in both] == [["cot/p/0"], ["tir/p/1"]]
    assert both[0].metrics["counts"] == {"problems": 1, "attempts": 2, "attempts_of_mode": 1, "pseudo_labels": 0}
