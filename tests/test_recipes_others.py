"""Every recipe is valid over every kind of profile, and those that are not of AIMO-2 do what their originals are known for."""

from pathlib import Path

import pytest

from components.core import machine, overlays
from components.core.params import read
from components.lib import prompts
from components.lib.rules.time_budget import History
from components.lib.sandbox.local import SandboxCapacity
from components.lib.votes.ballot import Ballot, decide, strategies
from components.solve.exam_run import Solve
from flows import recipes as listed
from flows.promote import Promote
from flows.walk import Flow
from tests.question_fixtures import run_question, words
from tests.recipe_fixtures import RECIPES, ROOT, chosen, contest, ended_by, exam, params, said, spoke, stopped, votes
from tests.row_fixtures import candidate, check

FIELDS = {"statement", "executions", "low", "high", "thought", "code", "error", "candidates"}
"""What plans fill in."""


# ---- all of them ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["tiny", "micro", "14b"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_valid_over_a_profile_and_asks_by_prompts_that_are_there(recipe: str, profile: str) -> None:
    whole = params(profile, recipe)
    overlays.check(whole, Path(f"{recipe} over {profile}"), [*overlays.sections(ROOT), Promote, Flow])
    config = exam(recipe, profile)
    for name in config.plan.prompts:
        assert prompts.fields(name) <= FIELDS
        assert name in ("cot", "tir") or (ROOT / config.prompts / f"{Path(name).name}.md").is_file(), (
            "DVC watches the folder in solve.common"
        )
    here = machine.merged(read(ROOT / machine.DEFAULTS), overlays.merged([profile, recipe], ROOT).machine)
    assert config.plan.max_concurrency * config.max_concurrent_questions <= SandboxCapacity.check(here, Path()).max_sessions
    strategies(whole["vote"]["strategies"])
    assert whole["promote"]["strategy"] in whole["vote"]["strategies"]
    room = whole["engines"]["server"]["max_model_len"] if profile == "14b" else whole["models"]["fetch"]["base"]["max_position_embeddings"]
    assert config.max_tokens < room


def test_the_list_tells_each_recipe_and_what_it_is_not() -> None:
    told = "\n".join(listed.lines(ROOT))
    heads = [line.split()[0] for line in told.splitlines() if line and not line.startswith((" ", "`"))]
    assert sorted(heads) == RECIPES and heads[0] == "nemoskills"
    assert "nemoskills             AIMO-2, rank 1, private 34." in told
    assert "  time   buffer (base_s 350, cap_s 210, exam_s 18000)" in told
    assert all(overlays.recipe_info(ROOT / overlays.RECIPES / f"{recipe}.yaml").differs for recipe in RECIPES)


# ---- exams as papers report them, and rows, which no contest's clock cuts ------------------------------------------------------------


@pytest.mark.parametrize("profile", ["7b", "14b", "32b"])
def test_contest_paper_and_practice_are_three_things(profile: str) -> None:
    slots = overlays.merged([profile], ROOT).machine["engines"]["server"]["max_num_seqs"]
    for name in ("exam-cot", "exam-tir"):
        clocked, free = run(name, profile), run(name, profile, "paper")
        assert (clocked.max_concurrent_questions, clocked.time_budget.kind, clocked.independent) == (1, "buffer", False)
        assert free.independent and free.plan == clocked.plan
        assert (free.max_concurrent_questions - 1) * free.plan.max_concurrency >= slots, "no slot waits for a question's last attempt"
    practice = run("practice", profile)
    assert practice.independent and run("teacher", profile).independent
    assert (practice.max_concurrent_questions - 1) * practice.plan.max_concurrency >= slots


def test_the_small_models_of_the_paper_are_asked_64_times_without_stops() -> None:
    assert all(exam.independent and exam.plan.max_concurrency == 64 for exam in [run("exam-cot", "1.5b"), run("exam-tir", "1.5b")])


def run(name: str, *overlaid: str) -> Solve:
    solve = params(*overlaid)["solve"]
    return Solve.model_validate({**solve["common"], **solve[name]})


# ---- the winner of AIMO-1 -------------------------------------------------------------------------------------------------------------


def test_numina_runs_four_programs_deep_shows_200_characters_and_prunes_what_fails(tmp_path: Path) -> None:
    call = "<tool_call>\n{0}\n</tool_call>"
    replies = {f"p/{index}/0": "\\boxed{7}" for index in range(3, 48)}
    replies |= {"p/0/0": call.format("1/0"), "p/0/1": "\\boxed{7}"}
    replies |= {f"p/1/{turn}": call.format(f"print({turn})") for turn in range(5)}
    replies |= {"p/2/0": call.format("print('x' * 500)"), "p/2/1": "\\boxed{8}"}
    pruned, deep, long, *rest = run_question(tmp_path, replies, exam("numina")).candidates()
    assert (pruned.answer, [cell.status for cell in pruned.runs]) == (None, ["error"]) and len(rest) == 45
    assert len(deep.runs) == 4 and deep.text.endswith("</tool_call>")
    sandbox = params("14b", "numina")["sandbox"]
    assert (sandbox["timeout_s"], sandbox["output_chars"]) == (5.0, 200)
    assert long.answer == 8 and long.runs[0].output.count("x") <= 200


# ---- AIMO-3 ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("elapsed", "done", "limit"), [(0, 0, 900), (5000, 10, 700), (16000, 40, 300), (17200, 49, 200), (17400, 49, 0)])
def test_bisiadis_keeps_a_reserve_for_later_questions_within_bounds(elapsed: float, done: int, limit: float) -> None:
    clock = exam("bisiadis").time_budget
    assert clock.allow(History(50, elapsed, [elapsed / max(1, done)] * done, [900.0] * done)).limit_s == limit


def test_bisiadis_ends_an_attempt_at_its_first_whole_box_and_a_question_at_four_votes(tmp_path: Path) -> None:
    replies = said(*range(1, 9)) | {f"p/{index}/0": words(index, " \\boxed{x} \\boxed{54321} or \\boxed{2}") for index in (1, 3, 4, 6)}
    replies["p/7/0"] = words(50, " \\boxed{100000}")
    question = run_question(tmp_path, replies, exam("bisiadis"), contest=contest("bisiadis"))
    assert ended_by(question) == "identical" and [one.answer for one in question.finished].count(54321) == 4
    assert all(made.text.endswith("54321}") for made in question.candidates() if made.answer == 54321)
    beyond = run_question(tmp_path, {f"p/{n}/0": " \\boxed{100000}" for n in range(8)}, exam("bisiadis"), contest=contest("bisiadis"))
    assert {made.abstained for made in beyond.candidates()} == {"out of range"}


def test_bisiadis_lets_one_attempt_that_is_sure_outvote_four_and_varianceofx_does_not() -> None:
    unsure = [candidate(7, index=n, entropies=(0.3,)) for n in range(4)]
    sure = candidate(9, index=4, entropies=(0.05,))
    assert chosen("bisiadis", *unsure, sure) == 9  # 20 against 13.3
    assert chosen("varianceofx", *unsure, sure) == 7


def test_varianceofx_looks_at_the_last_256_tokens_only() -> None:
    calm_in_the_end = [candidate(7, index=n, entropies=(*[3.0] * 20, *[0.1] * 8)) for n in range(2)]
    calm_at_first = [candidate(9, index=n, entropies=(*[0.1] * 20, *[3.0] * 8)) for n in (2, 3)]
    assert chosen("varianceofx", *calm_at_first, *calm_in_the_end) == 7
    assert chosen("bisiadis", *calm_at_first, *calm_in_the_end) == 9


def test_varianceofx_tells_the_range_and_stops_when_no_other_answer_can_win(tmp_path: Path) -> None:
    config = exam("varianceofx")
    question = run_question(tmp_path, said(7, 7, 7, 5, 8, 7, None, 7), config, contest=contest("varianceofx"))
    assert "from\n0 to 99999" in question.attempts[0].prompt.text
    assert (ended_by(question), len(question.finished)) == ("identical", 6)
    assert stopped(config, [7, 7, 7, 5, 8, None], 8) == "unreachable"  # 1 + 2 <= 3
    assert stopped(exam("bisiadis"), [7, 7, 7, 5, 8, None], 8) is None


def test_paper_verified_weighs_votes_by_what_was_verified() -> None:
    numbers = votes("paper-verified")
    made = spoke(7, 7, 7, 9, 9)

    def answer(*scores: float) -> int | None:
        checks = [
            check(0, scores[0], "rerun"),
            check(3, scores[1], "rerun"),
            check(0, scores[2], "constraint"),
            check(3, scores[3], "constraint"),
        ]
        return decide(Ballot("p", made, [], checks, numbers), numbers.strategies[0], gold=9).answer

    assert answer(0.0, 1.0, 0.0, 1.0) == 9  # 3 against 2 * (1 + 1)
    assert answer(0.0, 1.0, 1.0, 0.0) == 7  # 3 * 1.5 against 2 * 1.5
    assert answer(1.0, 1.0, 1.0, 1.0) == 7
