"""What models are asked about attempts: who is asked what, what is kept, what goes on after a kill, what a set makes of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.annotate.requests import RequestCounts, requests
from components.annotate.stage import Annotate, Pool, annotate, annotate_pool
from components.core import joined, params, rows
from components.core.errors import UserError
from components.core.types import Annotation, Candidate, CodeRun, Problem
from components.lib.answers import Contest
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.playback import Reply, tokenised
from components.lib.engine.protocol import EngineError
from components.lib.engine.scripted import RecordedReply, ScriptedEngine, ScriptedSettings
from tests import compose_fixtures, model_fixtures
from tests.row_fixtures import candidate, problem, run

ROOT = Path(__file__).parents[1]
CONTEST = Contest(low=0, high=999, modulus=1000)
ALL = RequestCounts(1, 2, 2, None, 1)
FAILED = run(output="Traceback (most recent call last)\nNameError", status="error")


def asked(attempt: Candidate, of: Problem | None = None, wanted: RequestCounts = ALL) -> list[str]:
    return [request.key for request in requests(of or problem(), [attempt], CONTEST, wanted)]


# ---- who is asked what -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "keys"),
    [
        (candidate(7), ["p/0/summary/0", "p/0/summary/1"]),
        (candidate(7, runs=(FAILED, run())), ["p/0/novelty-1/0", "p/0/novelty-1/1", "p/0/significance-1/0", "p/0/significance-1/1"]),
        (candidate(7, runs=(FAILED,)), []),
        (candidate(8), []),  # known to be wrong
        (candidate(7, finish_reason="length"), []),
        (candidate(None), []),  # no box: nothing to judge
        (candidate(None, text="\\boxed{seven}", abstained="not an integer"), ["p/0/judgement/0"]),
        (candidate(None, text="\\boxed{-7}", abstained="negative"), []),  # an integer, and another one
    ],
)
def test_a_model_is_asked_only_what_programs_cannot_say(attempt: Candidate, keys: list[str]) -> None:
    assert asked(attempt) == keys


def test_where_no_answer_is_known_every_answer_may_be_right_and_none_can_be_judged() -> None:
    unknown = problem(answer=None)
    assert asked(candidate(8), unknown) == ["p/0/summary/0", "p/0/summary/1"]
    assert asked(candidate(None, text="\\boxed{seven}", abstained="not an integer"), unknown) == []


def test_nothing_is_asked_that_is_not_wanted() -> None:
    for attempt in (candidate(7), candidate(7, runs=(run(),)), candidate(None, text="\\boxed{seven}", abstained="not an integer")):
        assert asked(attempt, wanted=RequestCounts(0, 0, 0, None, 1)) == []


def test_a_judge_sees_the_two_answers_and_a_voter_the_block_with_what_it_printed() -> None:
    (judged,) = requests(problem(), [candidate(None, text="so \\boxed{nine}", abstained="not an integer")], CONTEST, ALL)
    assert "Known answer: 7" in judged.content and "The solution's answer: nine" in judged.content
    novelty, *_ = requests(problem(), [candidate(7, runs=(run("print(21 // 3)", "7"),))], CONTEST, ALL)
    assert "Code:\nprint(21 // 3)" in novelty.content and "Output:\n7" in novelty.content


# ---- the stage -------------------------------------------------------------------------------------------------------------


def config(key: str = "teacher", **fields: Any) -> Annotate:
    section = params.read(ROOT / "params.yaml")["annotate"]
    return Annotate.check({"annotate": {"common": {}, key: {**section["common"], **section[key], **fields}}}, Path("params.yaml"), key)


def said(
    folder: Path, settings: Annotate, problems: Sequence[Problem], attempts: Sequence[Candidate]
) -> tuple[list[Annotation], dict[str, Any]]:
    (folder / "work").mkdir(parents=True, exist_ok=True)
    rows.write(folder / "problems.parquet", problems, Problem)
    rows.write(folder / "candidates.parquet", attempts, Candidate)
    paths = {name: folder / f"{name}.parquet" for name in ("problems", "candidates")}
    measured = annotate(
        settings,
        Engines.load(ROOT / "params.yaml"),
        CONTEST,
        EngineHosts.load(ROOT),
        **paths,
        out=folder / "out.parquet",
        work=folder / "work",
    )
    return list(rows.read(folder / "out.parquet", Annotation)), measured


def recorded(path: Path, replies: dict[str, str]) -> dict[str, Any]:
    with rows.JsonlWriter(path) as growing:
        for key, reply in replies.items():
            growing.append(RecordedReply(key=key, reply=reply))
    return {"engine": "scripted", "model": str(path)}


ATTEMPTS = [
    candidate(7, index=0, text="<think>\nIt is \\boxed{7}.\nOr not?\n</think>\nold \\boxed{7}"),
    candidate(7, index=1, runs=(run("print(7)"),)),
    candidate(7, index=2, runs=(run("print(3 + 4)"),)),
    candidate(None, index=3, text="It is \\boxed{seven}", abstained="not an integer"),
]
REPLIES = {
    "p/0/summary/0": "new \\boxed{7}",
    "p/0/summary/1": "longer, but \\boxed{8}",
    **{f"p/1/novelty-0/{n}": "It finds the sum.\nNovel Calculation" for n in (0, 1)},
    **{f"p/1/significance-0/{n}": "Significant" for n in (0, 1)},
    **{f"p/2/novelty-0/{n}": word for n, word in enumerate(["Novel Calculation", "Verification"])},
    **{f"p/2/significance-0/{n}": "Significant" for n in (0, 1)},
    "p/3/judgement/0": "Seven is 7.\nVerdict: yes",
}


def test_the_replies_are_what_the_sets_are_made_of(tmp_path: Path) -> None:
    settings = config(**recorded(tmp_path / "replies.jsonl", REPLIES), summaries=2, votes=2)
    found, measured = said(tmp_path, settings, [problem()], ATTEMPTS)
    assert [one.text for one in found] == list(REPLIES.values())
    assert measured["replies"] == {"summary": 2, "novelty": 4, "significance": 4, "judgement": 1} and measured["tokens"] > 0
    cot = compose_fixtures.run(compose_fixtures.config("cot"), tmp_path, [problem()], ATTEMPTS, found, name="cot")
    assert [row.id for row in cot.kept] == ["cot/p/0", "cot/p/3"]  # 3 by the judge's word
    anew = compose_fixtures.run(compose_fixtures.config("cot", summaries=True), tmp_path, [problem()], ATTEMPTS[:1], found[:2], name="anew")
    assert anew.kept[0].messages[1].content.endswith("</think>\nnew \\boxed{7}")
    tir = compose_fixtures.run(
        compose_fixtures.config("tir", novelty_significance={"num_votes": 2, "min_moderate_share": 0.5}, filters=[]),
        tmp_path,
        [problem()],
        ATTEMPTS,
        found,
        name="tir",
    )
    assert [row.id for row in tir.kept] == ["tir/p/1"] and tir.metrics["dropped"] == {"code of little use": 1}


def test_where_nobody_is_asked_the_file_is_there_without_rows(tmp_path: Path) -> None:
    found, measured = said(tmp_path, config(), [problem()], ATTEMPTS)
    assert found == [] and measured == {"engine": None, "replies": {}, "tokens": 0}


def test_a_run_that_died_goes_on_after_its_last_reply(tmp_path: Path) -> None:
    known = dict(list(REPLIES.items())[:5])
    settings = {"summaries": 2, "votes": 2, "num_concurrent": 2}
    with pytest.raises(EngineError, match=r"no reply was recorded for the key 'p/1/significance-0/1'"):
        said(tmp_path, config(**recorded(tmp_path / "few.jsonl", known), **settings), [problem()], ATTEMPTS)
    kept = list(rows.read(tmp_path / "work" / "replies.jsonl", Annotation))
    assert [one.text for one in kept] == list(REPLIES.values())[:4] and not (tmp_path / "out.parquet").exists()
    rest = dict(list(REPLIES.items())[4:])  # what is kept is not asked again: its replies are gone
    resumed, _ = said(tmp_path, config(**recorded(tmp_path / "rest.jsonl", rest), **settings), [problem()], ATTEMPTS)
    at_once, _ = said(tmp_path / "whole", config(**recorded(tmp_path / "all.jsonl", REPLIES), **settings), [problem()], ATTEMPTS)
    assert resumed == at_once


def test_attempts_of_an_unknown_problem_are_an_error_that_names_it(tmp_path: Path) -> None:
    settings = config(**recorded(tmp_path / "replies.jsonl", REPLIES), summaries=2, votes=2)
    with pytest.raises(UserError, match=r"candidates.parquet: problem 'q' is not in .*problems.parquet"):
        said(tmp_path, settings, [problem()], [*ATTEMPTS, candidate(7, "q")])


def test_a_real_model_answers_the_same_twice(tmp_path: Path) -> None:
    model = model_fixtures.make(tmp_path / "model", positions=4096)
    settings = config(engine="transformers", model=str(model), max_tokens=12, num_concurrent=4, summaries=2, votes=2)
    once, measured = said(tmp_path / "a", settings, [problem()], ATTEMPTS)
    twice, _ = said(tmp_path / "b", settings, [problem()], ATTEMPTS)
    assert once == twice and len(once) == len(REPLIES) and measured["tokens"] == sum(one.num_tokens for one in once) > 0
    assert len({one.text for one in once if one.kind == "summary"}) == 2  # each time another draw


def test_the_code_of_an_attempt_may_hold_anything_that_a_prompt_holds() -> None:
    """Braces are fields of prompts and sets of Python; values are put in as they are."""
    odd = candidate(7, runs=(CodeRun.model_validate({**run().model_dump(), "code": "x = {statement}", "output": "{after}"}),))
    request, *_ = requests(problem(), [odd], CONTEST, ALL)
    assert "{statement}" in request.content or "{after}" in request.content


# ---- comparisons -----------------------------------------------------------------------------------------------------------

SAMPLER = {"instances": 2, "max_shown": 3, "max_chars": 100_000, "count_chars": 60_000, "max_tokens": 20_000, "summaries": 2}
SPLIT = [candidate(answer, index=index, runs=(run(output=str(answer)),)) for index, answer in enumerate([7, 7, 3, 4])]


class Comparer(ScriptedEngine):
    """Chooses a right solution or a wrong one, as it is told; a summary repeats the choice."""

    def __init__(self, choose: dict[str, bool]) -> None:
        super().__init__(ScriptedSettings(step_s=0.1), ROOT / "infra/corpus/replies.jsonl")
        self.choose = choose

    def reply(self, prompt: str, key: str) -> Reply:
        shown = [line for line in prompt.split("\n") if "The answer is \\boxed{" in line]
        _, about, number = key.split("/")
        if about.startswith("comparison-summary"):
            chosen = prompt.rsplit("Judgment: ", 1)[1].split("\n")[0].split()[0]
            return tokenised({"0": f"short. Judgment: {chosen}", "1": f"the longer one. Judgment: {chosen}"}[number])
        place = next(place for place, line in enumerate(shown) if ("{7}" in line) == self.choose[about])
        return tokenised(f"They differ at length.\nJudgment: {place}")


def compared(folder: Path, choose: dict[str, bool], summaries: int = 2) -> list[Annotation]:
    settings = config("practice", engine="scripted", comparisons={**SAMPLER, "summaries": summaries})
    rows.write(folder / "problems.parquet", [problem()], Problem)
    rows.write(folder / "candidates.parquet", SPLIT, Candidate)
    pool = Pool(folder / "problems.parquet", folder / "candidates.parquet", folder / "replies.jsonl", folder / "followups.jsonl")
    asyncio.run(annotate_pool(settings, Comparer(choose), CONTEST, pool))
    return [row for _, _, replies in joined.read(*pool) for row in replies]


def test_comparisons_that_chose_a_right_solution_become_texts_and_others_are_told(tmp_path: Path) -> None:
    found = compared(tmp_path, {"comparison-0": True, "comparison-1": False})
    assert [(one.kind, one.part) for one in found] == [("comparison", 0), ("comparison", 1)] + [("comparison summary", 0)] * 2
    made = compose_fixtures.run(
        compose_fixtures.config("genselect", completions={"by": "model", "summaries": True}), tmp_path, [problem()], SPLIT, found
    )
    (row,) = made.kept
    chosen = int(row.messages[1].content.removeprefix("the longer one. Judgment: "))
    assert found[0].shown[chosen] in (0, 1) and row.id == "genselect/p/0"
    assert made.metrics["dropped"] == {"wrong choice": 1} and not any("by rule" in defect for defect in made.card["defects"])
    whole = compose_fixtures.config("genselect", completions={"by": "model", "summaries": False})
    assert compose_fixtures.run(whole, tmp_path, [problem()], SPLIT, found, name="whole").kept[0].messages[1].content == found[0].text


def test_a_kill_in_the_middle_of_a_line_loses_that_line_alone(tmp_path: Path) -> None:
    choose = {"comparison-0": True, "comparison-1": True}
    whole = compared(tmp_path, choose)
    for name in ("replies.jsonl", "followups.jsonl"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text[:-20], encoding="utf-8")
        assert compared(tmp_path, choose) == whole


def test_a_row_shows_the_question_that_was_asked(tmp_path: Path) -> None:
    found = compared(tmp_path, {"comparison-0": True, "comparison-1": True}, summaries=0)
    asked_of = requests(problem(), SPLIT, CONTEST, RequestCounts(0, 0, 0, config("practice", comparisons=SAMPLER).comparisons, 1))
    made = compose_fixtures.run(
        compose_fixtures.config("genselect", completions={"by": "model", "summaries": False}), tmp_path, [problem()], SPLIT, found
    )
    assert [row.messages[0].content for row in made.kept] == [request.content for request in asked_of]


@pytest.mark.parametrize(
    ("texts", "summaries", "reason"),
    [
        (["I cannot say."], False, "no choice"),
        (["Judgment: 9"], False, "no choice"),
        (["Judgment: 0", "Judgment: 1"], True, "no valid summary"),  # the only summary chooses otherwise
        ([], False, "no one compared them"),
    ],
)
def test_what_a_comparison_lacks_is_its_reason(tmp_path: Path, texts: list[str], summaries: bool, reason: str) -> None:
    abouts = ["comparison", "comparison summary"]
    said = [
        Annotation.model_validate({"problem": "p", "shown": (0, 2), "kind": about, "part": 0, "text": text, "num_tokens": 1})
        for about, text in zip(abouts, texts, strict=False)
    ]
    settings = compose_fixtures.config("genselect", completions={"by": "model", "summaries": summaries})
    _, left = compose_fixtures.made(settings, compose_fixtures.group(problem(), SPLIT, said))
    assert list(left.values()) == [reason]
