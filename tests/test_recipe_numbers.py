"""Every recipe's numbers beside their source: sampling, lengths, keys and values, flags; what the sources do not name is not asserted.

Sources: the write-ups (K1 to K22 in the recipes), the repositories that the recipes name, and for AIMO-3 a survey of the notebooks.
Over the profile 14b, AIMO-3 over gpt-oss.
"""

from pathlib import Path
from typing import Any

import pytest

from components.core import overlays
from components.core.types import Candidate
from components.lib import genselect
from components.solve.exam_run import Solve
from flows.recipes import EXAM
from tests.question_fixtures import run_question
from tests.recipe_fixtures import RECIPES, ROOT, exam, params, said

NUMBERS: dict[str, dict[str, Any]] = {
    "nemoskills": {  # [P] 6.3.5, [K1]
        "max_executions": 6, "sandbox.timeout_s": 2.0, "sandbox.output_chars": 200, "show_remaining_executions": False, "attempts": 12,
    },
    "imagination-research": {  # [I] configs, README
        "temperature": 1.0, "top_p": 0.95, "min_p": 0.1, "repetition_penalty": 1.05, "max_tokens": 16384, "kv": "fp8",
        "prefix caching": True, "max_model_len": 16384 + 8192 + 128, "gpu_memory_utilization": 0.95, "sandbox.timeout_s": 30.0,
        "attempts": 17, "lowest_answer": 1,
    },
    "aliev": {"max_tokens": 3 * 4096, "prefix caching": True},  # [K3]
    "andersen": {"temperature": 1.0, "top_p": 1.0, "min_p": 0.01},  # [K4]
    "usernam": {"temperature": 0.9, "top_p": 0.9, "min_p": 0.05, "max_tokens": 13500, "stop_conditions": ["think"], "attempts": 9},  # [K5]
    "tascj": {"kv": "fp8", "max_tokens": 16384},  # [K7]: an int8 KV cache
    "mpware": {  # [K8]
        "temperature": 1.0, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.0, "max_tokens": 19200, "max_model_len": 24576,
        "attempts": 5, "gpu_memory_utilization": 0.9, "max_num_seqs": 32, "prefix caching": True, "tensor_parallel_size": None,
    },
    "fast-math-r1": {"stop_conditions": ["think"], "attempts": 10, "max_tokens": 13300},  # [F], [K9]
    "farsail": {"attempts": 16, "lowest_answer": 1},  # [K11]: -1 and 0 are invalid responses
    "ippeiogawa": {"attempts": 4 * (1 + 1 + 3), "max_executions": 1},  # [K17]: 4 by code, 12 by box, after 4 thoughts
    "paterek": {"max_tokens": 7000, "sandbox.timeout_s": 12.0, "prefix caching": True},  # [K20]
    "jk-piece": {"temperature": 1.0, "top_p": 0.9, "min_p": 0.05, "max_tokens": 13312, "attempts": 12},  # [K22]
    "numina": {  # [N]
        "temperature": 0.8, "max_tokens": 2048, "max_executions": 4, "sandbox.timeout_s": 5.0, "sandbox.output_chars": 200, "attempts": 48,
    },
    "bisiadis": {  # the public notebook of AIMO-3; 128 turns are 127 runs
        "temperature": 1.0, "top_p": 1.0, "min_p": 0.02, "logprobs": 5, "max_executions": 127, "sandbox.timeout_s": 6.0, "kv": "fp8_e4m3",
        "sandbox.output_chars": 20000, "max_model_len": 65536, "gpu_memory_utilization": 0.96, "prefix caching": True, "attempts": 8,
        "stop_conditions": ["boxed"], "syntax": "harmony",
    },
}  # fmt: skip
NUMBERS["paper"] = {"stop_conditions": [], "early_stopping": [], "time_budget": {"kind": "none"}}  # arXiv 2504.16891, table 7
NUMBERS["varianceofx"] = NUMBERS["paper-verified"] = NUMBERS["bisiadis"]
PACES = {  # imagination-research: limit in minutes, attempts, answers that are enough, timed exits (minutes, answers)
    "very_fast": (9.5, 10, 6, []),
    "fast": (9.5, 12, 7, [(7, 5), (8, 4), (9, 3)]),
    "normal": (11, 15, 8, [(8, 6), (9, 5), (10, 3)]),
    "slow": (12, 16, 9, [(10, 5), (11, 4)]),
    "very_slow": (12, 17, 10, []),
}


def over(recipe: str) -> str:
    return "14b" if overlays.recipe_info(ROOT / overlays.RECIPES / f"{recipe}.yaml").contest.startswith(("AIMO-1", "AIMO-2")) else "gpt-oss"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_the_numbers_of_its_source(recipe: str) -> None:
    whole = overlays.merged([over(recipe), recipe], ROOT)
    asked, server, here = (
        {**whole.params["solve"]["common"], **whole.params["solve"][EXAM]},
        whole.params["engines"]["server"],
        whole.machine,
    )
    flags = server["flags"]
    found = {
        **asked, **server, **here["engines"]["server"],
        **{f"sandbox.{name}": value for name, value in whole.params["sandbox"].items()},
        "kv": flags[flags.index("--kv-cache-dtype") + 1] if "--kv-cache-dtype" in flags else "auto",
        "prefix caching": "--enable-prefix-caching" in flags,
        "attempts": Solve.model_validate(asked).plan.max_concurrency,
    }  # fmt: skip
    assert {name: found[name] for name in NUMBERS[recipe]} == NUMBERS[recipe]
    assert found["kv"] == NUMBERS[recipe].get("kv", "auto")
    assert asked["max_tokens"] < server["max_model_len"]


def test_imagination_research_has_the_original_speed_classes() -> None:
    clock = exam("imagination-research").time_budget
    assert clock.kind == "speed" and clock.exam_s == (4 * 60 + 57) * 60
    assert [pace.below_s for pace in clock.paces] == [300, 345, 370, 420, None]
    assert [
        (pace.limit_s, pace.candidates, pace.min_answers, [(one.after_s, one.answers) for one in pace.exits]) for pace in clock.paces
    ] == [(limit * 60, num, enough, [(at * 60, count) for at, count in exits]) for limit, num, enough, exits in PACES.values()]


def test_imagination_research_puts_imports_before_a_program_and_takes_no_answer_of_0(tmp_path: Path) -> None:
    call = "<tool_call>\n{}\n</tool_call>"
    replies = {"p/0/0": call.format("print(gcd(12, 18), math.pi > 3, np.sum([1, 2]))\nprint(sp.Integer(41) + 1)")}
    replies |= {"p/2/0": call.format("print(0)"), "p/2/1": " so"} | {f"p/{n}/0": " \\boxed{0}" for n in range(1, 17, 2)}
    replies |= {f"p/{n}/0": " none" for n in range(4, 17, 2)}
    code, cot, nothing, *_ = run_question(tmp_path, replies, exam("imagination-research")).candidates()
    assert (code.answer, [run.output for run in code.runs]) == (42, ["6 True 3\n42\n"])
    assert (cot.answer, cot.abstained, nothing.answer) == (None, "out of range", None)


def test_farsail_takes_a_0_for_junk_neither_for_a_lead_nor_for_an_answer(tmp_path: Path) -> None:
    question = run_question(tmp_path, said(0, 0, 7, 0, 0, 0, *[None] * 10), exam("farsail"))
    assert question.stopped_by is not None and question.stopped_by.given_up and len(question.finished) == 6  # five of six are junk
    assert {made.answer for made in question.candidates()} == {7, None}


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_judge_is_asked_where_attempts_leave_nothing_to_read(recipe: str) -> None:
    ends_at_thought = "think" in exam(recipe).stop_conditions
    assert ends_at_thought != ("genselect" in params("14b", recipe)["vote"]["strategies"])


def test_an_attempt_that_ends_with_its_thought_cannot_be_read(tmp_path: Path) -> None:
    made: Candidate = run_question(tmp_path, {f"p/{n}/0": "\\boxed{5}</think>" for n in range(9)}, exam("usernam")).candidates()[0]
    assert made.answer == 5 and genselect.summary(made) is None


def test_paper_verified_gives_its_verifier_room_to_think_and_the_context_holds_it() -> None:
    whole = params("gpt-oss", "paper-verified")
    verify, context = whole["verify"], whole["engines"]["server"]["max_model_len"]
    assert verify["max_tokens"] == 16384 and verify["max_tokens"] + verify["summary_chars"] + 2200 < context


def test_no_replayed_rules_go_by_the_name_of_a_system_of_which_they_are_a_part() -> None:
    assert not set(params("tiny")["replay"]["recipes"]) & set(RECIPES)
