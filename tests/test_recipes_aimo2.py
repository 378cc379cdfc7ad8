"""Every recipe of AIMO-2 does what its original is known for: in simulated time, by its own settings."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from components.core.types import Problem
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.rules import length_model
from components.lib.rules.time_budget import History, TimeBudget
from components.solve.exam_run import QuestionRunner, Solve, attempt_params
from components.solve.question_run import QuestionRun
from tests.question_fixtures import CONTEST, STEP_S, LazySandbox, recorded, run_question, words
from tests.recipe_fixtures import chosen, ended_by, exam, said, spoke, stopped
from tests.row_fixtures import candidate, problem, run


def limits(clock: TimeBudget, used: Sequence[float], num_questions: int = 50) -> list[float]:
    """The limits of the first questions, which used so much; the last one is that of the next question."""
    found: list[float] = []
    for n, elapsed in enumerate(accumulate(used, initial=0.0)):
        found.append(clock.allow(History(num_questions, elapsed, used[:n], found)).limit_s)
    return found


# ---- 1st place of AIMO-2 ------------------------------------------------------------------------------------------------------------


def test_nemoskills_stops_at_four_of_the_first_five_and_leaves_two_stragglers(tmp_path: Path) -> None:
    agreed = run_question(tmp_path, said(7, 7, 3, 7, 7, *range(20, 27)), exam("nemoskills"))
    assert (ended_by(agreed), len(agreed.attempts), len(agreed.finished)) == ("agree", 12, 5)
    assert {made.finish_reason for made in agreed.candidates()[5:]} == {"cancelled"}
    apart = run_question(tmp_path, said(7, 7, 3, 3, 7, 7, 7, None, 8, 9, 7, 7), exam("nemoskills"))
    assert (ended_by(apart), len(apart.finished)) == ("stragglers", 10)


def test_nemoskills_lends_what_was_saved_up_to_210_seconds() -> None:
    assert limits(exam("nemoskills").time_budget, [100, 560]) == [350, 560, 390]


# ---- 2nd place ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "rule"),
    [
        ([9, 9, 9, 9], "repeats"),  # (a)
        ([9, 9, 9, 1, 9, 9], "repeats"),  # (c): 5 of at most 7
        ([1, 2, 3, 4, 5, 6, 9, 9, 8, 9, 9], "last"),  # (b): 4 of the last 5
        ([9, 1, 9, 9, 2, 9, 3, 9, 9], "repeats"),  # (d): 6 of at most 9
        ([9, 9, 1, 2, 3, 9, 9], None),
    ],
)
def test_imagination_research_stops_at_its_repeats(answers: list[int], rule: str | None) -> None:
    assert stopped(exam("imagination-research"), answers, 15) == rule


def test_imagination_research_ends_thought_at_a_box_and_code_at_a_print(tmp_path: Path) -> None:
    both = "\\boxed{5} <tool_call>\nprint(600)\n</tool_call>"
    failed = "<tool_call>\n1/0\n</tool_call>"
    replies = said(*range(30, 45)) | {"p/0/0": both, "p/1/0": both, "p/2/0": failed, "p/2/1": both}
    config = exam("imagination-research")
    question = run_question(
        tmp_path, replies, config.model_copy(update={"early_stopping": []}), config.time_budget.allow(History(50, 0.0, [], []))
    )
    code, cot, repaired, *_ = question.candidates()
    assert [made.mode.rpartition("/")[2] for made in question.candidates()] == ["code", "cot"] * 7 + ["code"]  # 15, in turn
    assert (code.answer, cot.answer, cot.runs) == (600, 5, ())
    assert (repaired.answer, [cell.status for cell in repaired.runs]) == (600, ["error", "ok"])


def test_imagination_research_slows_down_and_speeds_up_by_classes_without_the_two_defects() -> None:
    clock = exam("imagination-research").time_budget

    def attempts(num_done: int, each_s: float) -> int | None:
        return clock.allow(History(50, num_done * each_s, [each_s] * num_done, [570.0] * num_done)).candidates

    averages = {0: 15, 2: 15, 10: 15}  # 356 s a question, as planned
    assert {done: attempts(done, 356) for done in averages} == averages
    assert (attempts(10, 700), attempts(10, 420), attempts(10, 250), attempts(10, 50)) == (10, 12, 16, 17)
    late = clock.allow(History(50, 18000.0, [400.0] * 45, [570.0] * 45))  # there: no range fits a negative average, hence normal
    assert (late.candidates, late.limit_s) == (10, 0)


def test_imagination_research_trusts_small_and_round_answers_less_and_has_its_two_fallbacks() -> None:
    assert chosen("imagination-research", *spoke(20, 20, 20, 21, 21)) == 21  # 1.8 against 2
    assert chosen("imagination-research", *spoke(300, 300, 300, 301, 301)) == 301
    assert chosen("imagination-research", *spoke(21, 35)) == 35  # a tie: the larger
    assert (chosen("imagination-research"), chosen("imagination-research", late=True)) == (49, 210)


# ---- 3rd to 9th -----------------------------------------------------------------------------------------------------------------------


def test_aliev_doubles_unfinished_branches_at_4096_and_seven_of_them_at_8192(tmp_path: Path) -> None:
    on = words(5000)
    endless = {f"p/{index}/{turn}": on for index in range(17) for turn in range(3)}
    made = run_question(tmp_path, endless, exam("aliev")).candidates()
    assert [one.parent for one in made[:10]] == [None] * 5 + [0, 1, 2, 3, 4] and len(made) == 10 + 7
    depths = [one.num_tokens + (0 if one.parent is None else 4096 if one.index < 10 else 8192) for one in made]
    assert set(depths) == {8192, 12288} and depths.count(12288) == 14  # three of ten were left behind
    assert made[16].text == " so" * 12288


def test_aliev_stops_once_more_than_six_have_answered_and_more_than_seven_in_ten_agree(tmp_path: Path) -> None:
    on = words(5000)
    replies = {f"p/{index}/0": on for index in range(5)} | {f"p/{index}/1": words(100 + index, " \\boxed{4}") for index in range(5)}
    replies |= {f"p/{index}/0": words(200 + index, " \\boxed{4}") for index in (5, 6)} | {f"p/{index}/0": on for index in (7, 8, 9)}
    question = run_question(tmp_path, replies, exam("aliev"))
    assert (ended_by(question), len(question.finished), len(question.attempts)) == ("share_of_answers", 7, 10)
    assert [stopped(exam("aliev"), [4] * n + [5, 6, 7], 10) for n in (7, 8)] == [None, "share_of_answers"]  # 7 of 10 is not more


def test_andersen_splits_what_is_left_equally_and_stops_nothing(tmp_path: Path) -> None:
    assert limits(exam("andersen").time_budget, [115.0, 360.0]) == pytest.approx([360.0, 365.0, 365.104], abs=1e-3)
    assert len(run_question(tmp_path, said(*[7] * 12), exam("andersen")).finished) == 12


@pytest.mark.parametrize(
    ("answers", "rule"),
    [
        ([6, 6, 6], None),
        ([6, 6, 6, 6], None),  # 0 + 5 running can pass 4, and the line begins at 5
        ([6, 6, 6, 6, 1], "radical"),  # 4 of 5 are 80 %
        ([6, 6, 6, 1, 2], None),
        ([6, 6, 6, 6, 6], "unreachable"),  # 0 + 4 <= 5
        ([6, 6, 6, 6, 1, 1, 1], None),  # 65 % of 7 are 4.55
        ([6, 6, 6, 1, 6, 1, 2, 3], "unreachable"),  # 2 + 1 <= 4
    ],
)
def test_usernam_stops_when_nothing_can_change_or_above_a_falling_line(answers: list[int], rule: str | None) -> None:
    assert stopped(exam("usernam"), answers, 9) == rule


def test_usernam_takes_the_answer_that_stands_before_the_end_of_thought(tmp_path: Path) -> None:
    replies = {f"p/{index}/0": f"\\boxed{{5}}</think> no, \\boxed{{{index}}}" for index in range(9)}
    assert {made.answer for made in run_question(tmp_path, replies, exam("usernam")).candidates() if made.rank is not None} == {5}
    (cut,) = {made.num_tokens for made in run_question(tmp_path, {key: words(14000) for key in replies}, exam("usernam")).candidates()}
    assert cut == 13500


def test_tascj_hands_on_planned_minus_actual() -> None:
    assert limits(exam("tascj").time_budget, [100.0, 620.0, 360.0]) == [360, 620, 100, 360]


def test_mpware_makes_five_attempts_of_19200_tokens(tmp_path: Path) -> None:
    made = run_question(tmp_path, {f"p/{index}/0": words(20000) for index in range(6)}, exam("mpware")).candidates()
    assert [(one.num_tokens, one.finish_reason) for one in made] == [(19200, "length")] * 5


def test_fast_math_r1_asks_by_two_prompts_within_a_budget_learned_from_statements(tmp_path: Path) -> None:
    asks = {"Find the remainder of the sum": 7000, "In how many ways can it be tiled": 12000, "What is the area of the circle": 9000}
    known = [problem(f"p{n}", statement=f"{ask} {n}?") for n, ask in enumerate([*asks] * 8)]
    stored = [candidate(name=one.id, num_tokens=asks[one.statement.rpartition(" ")[0]]) for one in known]
    config = exam("fast-math-r1")
    assert config.time_budget.kind == "tokens"
    length_model.train(known, stored).save(tmp_path / config.time_budget.model)
    asked = [problem(f"q{n}", statement=f"{ask} 99?") for n, ask in enumerate(asks)]
    questions = run_exam(tmp_path, asked, {f"q{n}/{index}/0": words(14000) for n in range(3) for index in range(10)}, config)
    budgets = [{made.num_tokens for made in question.candidates()} for question in questions]
    assert budgets[0] == {10500} and budgets[1] == {13300}  # 1.3 times 7,000 and 12,000, within bounds
    assert all(10500 < budget < 13300 for budget in budgets[2])
    assert [made.mode.rpartition("/")[2] for made in questions[0].candidates()] == ["first"] * 8 + ["second"] * 2


def run_exam(folder: Path, asked: Sequence[Problem], replies: Mapping[str, str], config: Solve) -> list[QuestionRun]:
    """Several questions, one after the other, as the clock has it."""

    async def run() -> list[QuestionRun]:
        async with ScriptedEngine(ScriptedSettings(step_s=STEP_S), recorded(folder, replies)) as engine, LazySandbox() as box:
            runner = QuestionRunner(config, attempt_params(config, CONTEST, folder), len(asked), folder)
            return [await runner.run(one, engine.now(), engine, box) for one in asked]

    return asyncio.run(run())


# ---- 11th to 22nd ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "rule", "num_finished"),
    [
        ([None, 0, None, 0, None], "junk", 5),
        ([None, 3, None, 4, None, 5, None, 3], "junk", 8),  # 4 of 8, though 4 of 7 were not enough
        ([1, 2, 3, 4, 5, 6, 1, 2], "diverged", 8),
        ([7, 7, None, 7], "lead", 4),  # a lead of 3
        ([7, 7, 5, 7, 5, None, 7, 8], "lead", 8),  # 2 are enough from 8 on
        ([7, 7, 7, 5, 5, 5, 8, 8, 7, 5, 9, 7], "lead", 12),  # and 1 from 12 on
    ],
)
def test_farsail_looks_at_lead_junk_and_divergence_by_bands(
    tmp_path: Path, answers: list[int | None], rule: str, num_finished: int
) -> None:
    question = run_question(tmp_path, said(*answers, *[None] * (16 - len(answers))), exam("farsail"))
    assert (len(question.attempts), len(question.finished), ended_by(question)) == (16, num_finished, rule)
    assert question.stopped_by is not None and question.stopped_by.given_up == (rule != "lead")


def test_ippeiogawa_thinks_writes_a_program_mends_it_and_stops_at_three_identical_answers(tmp_path: Path) -> None:
    replies = {f"p/{index}/0": words(4100) for index in range(4)}
    replies |= {f"p/{index}/0": "print(1/0)\n</tool_call>" for index in range(4, 8)}
    replies |= {f"p/{index}/0": f"\\boxed{{{index}}}" for index in range(8, 20)}
    replies |= {f"p/{index}/0": "print(6 * 7)\n</tool_call>" for index in range(20, 24)}
    question = run_question(tmp_path, replies, exam("ippeiogawa"))
    made = question.candidates()
    assert [(one.num_tokens, one.rank) for one in made[:4]] == [(4000, None)] * 4
    assert [one.parent for one in made[4:]] == [0, 1, 2, 3] + [n for n in range(4) for _ in range(3)] + [4, 5, 6, 7]
    assert {one.mode for one in made[20:]} == {"recipes/ippeiogawa/repair"}
    assert (ended_by(question), [finished.answer for finished in question.finished][-3:]) == ("identical", [42] * 3)


def test_paterek_forces_108_programs_out_of_nine_paths_and_asks_each_for_a_box(tmp_path: Path) -> None:
    replies = {f"p/{path}/{turn}": words(600) if turn else words(5100) for path in range(9) for turn in range(3)}
    replies |= {f"p/{index}/0": f"print({index % 3 + 100})\n</tool_call>" for index in range(9, 117)}
    replies |= {f"p/{index}/0": "101}" for index in range(117, 126)}
    made = run_question(tmp_path, replies, exam("paterek")).candidates()
    programs, boxes = made[9:117], made[117:]
    assert [one.num_tokens for one in made[:9]] == [6000] * 9 and len({one.mode for one in made[:9]}) == 7
    assert [one.parent for one in programs] == [path for _ in range(3) for path in range(9) for _ in range(4)]
    assert [len(one.text.partition("<tool_call>")[0].split()) for one in programs[::36]] == [5000, 5500, 6000]
    assert all(len(one.runs) == 1 and one.answer == one.printed for one in programs)
    assert [(one.parent, one.answer) for one in boxes] == [(path, 101) for path in range(9)]
    assert chosen("paterek", *made) == 101  # 36 programs each, but only this answer is boxed as well


def test_paterek_discounts_programs_that_begin_alike_and_rewards_box_and_print_that_agree() -> None:
    alike = "total = 0\n" + "\n".join(f"total += {k} * {k}" for k in range(30))
    copies = [candidate(50, index=n, boxed=None, printed=50, runs=(run(f"{alike}\nprint({n})", "50"),)) for n in range(3)]
    others = [candidate(70, index=n, boxed=None, printed=70, runs=(run(f"{n} + 1; {alike}", "70"),)) for n in (3, 4)]
    assert chosen("paterek", *copies, *others) == 70  # three halves against two
    assert chosen("paterek", *copies, *others, candidate(50, index=5)) == 50  # boxed as well: threefold
    assert chosen("paterek", *spoke(3, 80, boxed=None)) == 80  # a small answer counts half


def test_jk_piece_stops_as_soon_as_an_answer_holds_a_third_of_all_attempts(tmp_path: Path) -> None:
    question = run_question(tmp_path, said(4, 4, 9, None, 4, 8, 4, *range(20, 25)), exam("jk-piece"))
    assert (ended_by(question), len(question.finished), len(question.attempts)) == ("share", 7, 12)
    assert stopped(exam("jk-piece"), [4, 4, 4], 12) is None
