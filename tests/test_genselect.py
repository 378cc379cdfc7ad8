"""What a judge is shown and how its verdict is read."""

import pytest

from components.judge.drawing import clusters, draw
from components.lib import genselect
from tests.making import candidate, run


@pytest.mark.parametrize(
    ("verdict", "wanted"),
    [
        ("Judgment: 0", 0),  # an index, not a failure
        ("Judgement: [3]", 3),
        ("judgment: 1\nno, wait\nJudgment: 2", 2),
        ("<think>\nJudgment: 1\n</think>\nJudgment: 0", 0),
        ("Judgment: 4", None),  # names none of those shown
        ("the second one", None),
    ],
)
def test_verdicts(verdict: str, wanted: int | None) -> None:
    assert genselect.parse(verdict, shown=4) == wanted


def test_equal_summaries_keep_numbers_of_their_own() -> None:
    asked = genselect.ask("genselect", "What?", ["same", "same"])
    assert "#0: same" in asked and "#1: same" in asked


def test_a_summary_leaves_the_thought_out_and_needs_exactly_one_box() -> None:
    shown = genselect.summary(candidate(7, runs=(run(),)))
    assert shown is not None and "Add." not in shown and "print(7)" in shown and "\\boxed{7}" in shown
    assert genselect.summary(candidate(7, text="</think>\\boxed{3} or \\boxed{7}")) is None
    assert genselect.summary(candidate(None)) is None


@pytest.mark.parametrize("max_shown", [2, 3, 4, 16])
def test_every_cluster_is_shown_as_far_as_there_is_room(max_shown: int) -> None:
    groups = clusters([candidate(answer, index=index) for index, answer in enumerate([1, 1, 1, 1, 2, 2, 3, 3])])
    for seed in range(50):
        shown = draw(groups, max_shown, seed)
        assert len(shown) <= max_shown and len({c.index for c in shown}) == len(shown)
        assert len({c.answer for c in shown}) == min(3, max_shown)
    assert [c.index for c in draw(groups, max_shown, 1)] == [c.index for c in draw(groups, max_shown, 1)]
