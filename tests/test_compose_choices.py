"""Training sets whose rows choose among attempts at one problem, genselect and dpo: which choices are made, and which teach nothing."""

from pathlib import Path
from typing import Any

import pytest

from components.compose.kinds.genselect import GenSelect
from components.compose.stage import Compose
from components.core.errors import UserError
from components.core.types import Candidate, Example, Preference
from components.lib import genselect
from tests.compose_fixtures import config, group, made
from tests.row_fixtures import candidate, problem, run

# ---- genselect -----------------------------------------------------------------------------------------------------------


def answered(*answers: int | None) -> list[Candidate]:
    return [candidate(answer, index=index, runs=(run(output=str(answer)),)) for index, answer in enumerate(answers)]


def by_rule(**fields: Any) -> Compose:
    """The set as params.yaml describes it, its sampler changed."""
    known = config("genselect").rows
    assert isinstance(known, GenSelect)
    return config("genselect", completions={**known.completions.model_dump(), **fields})


def selections(settings: Any, attempts: list[Candidate], name: str = "p") -> tuple[list[Example], dict[str, str]]:
    rows, left = made(settings, group(problem(name), attempts))
    return [row for row in rows if isinstance(row, Example) and row.kind == "genselect"], left


def test_selections_hold_a_right_and_a_wrong_one_and_name_a_right_one() -> None:
    for name in map(str, range(40)):
        attempts = [one.model_copy(update={"problem": name}) for one in answered(7, 7, 7, 7, 7, 3, 4, 5)]
        rows, _ = selections(by_rule(instances=8, max_shown=16), attempts, name)
        assert 1 <= len(rows) <= 8 and len({row.messages[0].content for row in rows}) == len(rows)
        for row in rows:
            told = row.messages[1].content
            lines = [line for line in told.split("\n") if line.endswith(("good", "bad"))]
            chosen = int(told.rsplit("Judgment: ", 1)[1])
            assert 2 <= len(lines) <= 6  # three wrong ones, and right ones cut down to as many
            assert {line.rsplit(" ", 1)[1] for line in lines} == {"good", "bad"}
            assert sum(line.endswith("good") for line in lines) <= 3
            assert lines[chosen] == f"{chosen}: 7 good" and genselect.parse(told, len(lines)) == chosen


def test_equal_texts_keep_places_of_their_own() -> None:
    same = [candidate(7, index=i, text="<think>\na\n</think>\n\\boxed{7}") for i in range(3)]
    other = [candidate(3, index=3 + i, text="<think>\na\n</think>\n\\boxed{3}") for i in range(3)]
    attempts = [one.model_copy(update={"mode": "tir"}) for one in (*same, *other)]
    rows, _ = selections(by_rule(instances=8, max_shown=6), attempts)
    for row in rows:
        shown = [line for line in row.messages[0].content.split("\n") if line.startswith("#")]
        lines = [line for line in row.messages[1].content.split("\n") if line.endswith(("good", "bad"))]
        assert [line.split(":")[0] for line in lines] == [line.split(":")[0].removeprefix("#") for line in shown]
        assert [line.endswith("good") for line in lines] == [line.endswith("{7}") for line in shown]
    assert max(len(row.messages[1].content.split("\n")) for row in rows) > 6  # some show equal texts


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([7, 7, 7, 7], "none is wrong"),
        ([1, 2, 3, 3], "none is right"),
        ([7, 1, 2], "fewer than four readable candidates"),
        ([7, 1, 2, None], "fewer than four readable candidates"),
        ([7, 1, 2, 3], None),
    ],
)
def test_problems_without_a_choice_make_no_selection(answers: list[int | None], reason: str | None) -> None:
    rows, left = selections(config("genselect"), answered(*answers))
    assert (left.get("genselect/p"), bool(rows)) == (reason, reason is None)
    assert {name: why for name, why in left.items() if name != "genselect/p"} == {
        f"genselect/p/{i}": "no readable summary" for i, answer in enumerate(answers) if answer is None
    }


@pytest.mark.parametrize(
    ("limits", "too_long"),
    [
        ({"max_chars": 60}, True),
        ({"count_chars": 10, "max_tokens": 1}, True),
        ({"count_chars": 10}, False),
        ({"count_chars": 10_000, "max_tokens": 1}, False),
    ],
)
def test_a_question_too_long_to_be_read_is_left_out(limits: dict[str, int], too_long: bool) -> None:
    rows, left = selections(by_rule(**limits), answered(7, 1, 2, 3))
    assert (not rows, set(left.values()) == {"question too long"}) == (too_long, too_long)


# ---- dpo -----------------------------------------------------------------------------------------------------------------


def words(index: int, text: str, answer: int | None = 7, **fields: Any) -> Candidate:
    return candidate(answer, index=index, text=text, mode="tir", **fields)


SHORT = words(0, "seven is what three and four make")
LONGER = words(1, "seven is what three and four make, and again seven is what three and four make")
OTHER = words(2, "count apples on fingers until none remain whatsoever", 3)


def pair(settings: Any, *attempts: Candidate) -> Preference | str:
    rows, left = made(settings, group(problem(), attempts))
    return rows[0] if rows and isinstance(rows[0], Preference) else left["dpo/p"]


def test_the_shortest_right_one_is_preferred_to_the_longest_other() -> None:
    found = pair(config("dpo", max_length_ratio=0.6), LONGER, SHORT, OTHER)
    assert isinstance(found, Preference) and found.candidates == (0, 1) and found.similarity is None
    assert [message.content for message in (*found.chosen, *found.rejected)] == [SHORT.text, LONGER.text]
    assert found.messages[0].content == "What is 3 + 4?\nUse Python." and not found.messages[0].loss


def test_or_to_the_one_least_like_it() -> None:
    found = pair(config("dpo", rejected="least similar", max_length_ratio=0.7, max_similarity=0.83), SHORT, LONGER, OTHER)
    assert isinstance(found, Preference) and found.candidates == (0, 2)
    assert found.similarity is not None and found.similarity < 0.3


@pytest.mark.parametrize(
    ("settings", "attempts", "reason"),
    [
        ({}, (OTHER, words(3, "x", 4)), "none is right"),
        ({}, (SHORT,), "no other attempt"),
        ({}, (SHORT, words(4, "and on and on without an end", None, finish_reason="length")), "no other attempt"),
        ({}, (SHORT, words(3, "tiny", 3)), "not short enough beside the other"),
        ({"max_length_ratio": 0.3}, (SHORT, LONGER), "not short enough beside the other"),
        ({"min_chars": 40}, (SHORT, LONGER), "too short"),
        ({"max_similarity": 0.5}, (SHORT, LONGER), "too similar"),
    ],
)
def test_pairs_that_teach_nothing_are_left_out(settings: dict[str, Any], attempts: tuple[Candidate, ...], reason: str) -> None:
    assert pair(config("dpo", **settings), *attempts) == reason


def test_an_unfinished_attempt_is_never_one_of_a_pair() -> None:
    unfinished = words(4, "and on and on without an end, on and on and on, " * 3, None, finish_reason="length", abstained="no box")
    rows, left = made(config("dpo"), group(problem(), [SHORT, LONGER, unfinished]))
    assert isinstance(rows[0], Preference) and rows[0].candidates == (0, 1) and left == {"dpo/p/4": "ended by length"}


def test_tool_output_carries_no_loss_on_either_side() -> None:
    short, long = candidate(runs=(run(),)), candidate(index=1, runs=(run(),) * 3)
    found = pair(config("dpo"), short, long)
    assert isinstance(found, Preference)
    assert {message.loss for message in (*found.chosen, *found.rejected) if message.role == "tool"} == {False}
    assert "".join(message.content for message in found.rejected) == long.text


def test_a_local_embedding_model_can_say_how_alike_two_texts_are(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(1)
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *sorted(set(f"{SHORT.text} {LONGER.text} {OTHER.text}".replace(",", " ,").split())),
    ]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    small = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(small).save_pretrained(tmp_path)
    by = {"by": "embedding", "model": str(tmp_path)}
    found = pair(config("dpo", rejected="least similar", similarity=by, max_length_ratio=0.9), SHORT, LONGER, OTHER)
    assert isinstance(found, Preference) and found.candidates == (0, 2)
    assert found.similarity is not None and 0 <= found.similarity < 1
    with pytest.raises(UserError, match=r"no such folder; put the model there, or write \{by: tfidf\}"):
        pair(config("dpo", rejected="least similar", similarity={"by": "embedding", "model": "nowhere"}), SHORT, LONGER, OTHER)


@pytest.mark.parametrize(("reason", "known"), [("none is right", 5), ("no verdict", None)])
def test_a_problem_without_a_gold_is_not_said_to_have_been_failed(reason: str, known: int | None) -> None:
    for key in ("dpo", "genselect"):
        attempts = [one.model_copy(update={"mode": "tir"}) for one in answered(1, 2, 3, 4)]
        assert made(config(key), group(problem(answer=known), attempts))[1][f"{key}/p"] == reason
