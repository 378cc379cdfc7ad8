"""An attempt of any family becomes the row that an openmath sitting would have made: call for call, mark for mark, token for token."""

import json
from pathlib import Path

import pytest

from components.core.types import Candidate, Inserted
from components.lib.code_blocks import code_blocks
from components.lib.tool_syntax import SYNTAXES, SyntaxName
from components.lib.tool_translation import in_openmath, to_openmath
from tests.chat_fixtures import generations
from tests.question_fixtures import fixed, run_attempts

CODE = "x = 6\nprint(x * 7)"
HERMES = json.dumps({"name": "python", "arguments": {"code": CODE}})
SAID: dict[SyntaxName, list[str]] = {
    "openmath": [f"Think.\n<tool_call>\n{CODE}\n</tool_call>", "So \\boxed{42}."],
    "nemoskills": [f"Think.\n<tool_call>\n{CODE}\n</tool_call>", "So \\boxed{42}."],
    "fences": [f"Think.\n```python\n{CODE}\n```", "So \\boxed{42}."],
    "hermes": [f"Think.\n<tool_call>\n{HERMES}\n</tool_call>", "So \\boxed{42}."],
    "harmony": [
        f"<|channel|>analysis<|message|>Think.\n<|end|><|start|>assistant<|channel|>analysis to=python code<|message|>{CODE}<|call|>",
        "<|channel|>final<|message|>So \\boxed{42}.",
    ],
}


def sat(folder: Path, turns: list[str], syntax: SyntaxName, **settings: object) -> Candidate:
    replies = {f"p/0/{number}": text for number, text in enumerate(turns)}
    (made,) = run_attempts(folder, replies, fixed(tir=1), syntax=syntax, **settings)
    return made


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_any_family_s_attempt_becomes_what_an_openmath_sitting_makes(syntax: SyntaxName, told: bool, tmp_path: Path) -> None:
    made = sat(tmp_path, SAID[syntax], syntax, show_remaining_executions=told)
    assert made.answer == 42 and [run.status for run in made.runs] == ["ok"]
    new = to_openmath(made)
    assert new is not None
    thought, closed = ("<think>\n", "\n</think>\n") if syntax == "harmony" else ("", "")
    assert generations(new) == [f"{thought}Think.\n<tool_call>\n{CODE}\n</tool_call>", f"{closed}So \\boxed{{42}}."]
    same = sat(tmp_path, generations(new), "openmath", show_remaining_executions=told)
    if syntax != "nemoskills" or not told:  # whose notice has words of its own
        assert (new.text, new.inserted) == (same.text, same.inserted)
    assert to_openmath(same) is same and (new is made) == (SYNTAXES[syntax].call == "tags")
    (block,) = code_blocks(new)
    assert (block.code, block.output, block.after) == (CODE, "42\n", f"{closed}So \\boxed{{42}}.")


def test_a_function_of_the_user_s_in_harmony_is_a_call_too(tmp_path: Path) -> None:
    call = f"<|channel|>commentary to=functions.python <|constrain|>json<|message|>{json.dumps({'code': CODE})}<|call|>"
    made = to_openmath(sat(tmp_path, [call, SAID["harmony"][1]], "harmony", show_remaining_executions=True))
    assert made is not None and generations(made) == [f"<tool_call>\n{CODE}\n</tool_call>", "So \\boxed{42}."]
    assert "\n```output\n42\n```\n```system\n" in made.text and "\\n" not in made.text


def test_harmony_without_code_is_a_thought_and_its_answer(tmp_path: Path) -> None:
    said = "<|channel|>analysis<|message|>Six times seven.<|end|><|start|>assistant<|channel|>final<|message|>\\boxed{42}"
    made = to_openmath(sat(tmp_path, [said], "harmony"))
    assert made is not None and made.text == "<think>\nSix times seven.\n</think>\n\\boxed{42}"


def test_a_call_that_nothing_ran_stays_a_call_without_output(tmp_path: Path) -> None:
    made = to_openmath(sat(tmp_path, [SAID["fences"][0]] * 2, "fences", max_executions=1))
    assert made is not None and made.text.endswith(f"```\nThink.\n<tool_call>\n{CODE}\n</tool_call>")


def test_a_call_that_could_not_be_read_makes_no_row(tmp_path: Path) -> None:
    made = sat(tmp_path, ["<tool_call>\n{print(1)}\n</tool_call>", *SAID["hermes"]], "hermes")
    assert len(made.runs) == 2 and "nothing ran" in made.text
    assert to_openmath(made) is None and in_openmath([made]) == []


def test_what_opened_a_call_stays_put_in_and_no_seam_stays(tmp_path: Path) -> None:
    made = sat(tmp_path, ["```text\nx\n```\n", *SAID["fences"]], "fences")
    seam, output = made.inserted
    assert seam == Inserted(begin=14, end=14, output=False) and made.text[21:31] == "```python\n"
    begun = made.model_copy(update={"inserted": (seam, Inserted(begin=21, end=31, output=False), output)})
    new = to_openmath(begun)
    assert new is not None and [new.text[span.begin : span.end] for span in new.inserted] == ["<tool_call>\n", "\n```output\n42\n```\n"]
