"""Calls as people's models write them: what runs, what is told to the model instead, and what the model reads afterwards."""

from pathlib import Path

import pytest

from components.core.types import Candidate
from components.lib import answers, tool_calls, tool_syntax
from components.lib.tool_syntax import SYNTAXES, SyntaxName
from tests.question_fixtures import CONTEST, fixed, run_attempts

PRINT = '{"code": "print(1)"}'
HERMES = '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>'
ANSWERED = "<|im_end|>\n<|im_start|>user\n<tool_response>\n"


@pytest.mark.parametrize(
    ("syntax", "text"),
    [
        ("hermes", HERMES),
        ("hermes", r'<tool_call>{"name":"python","arguments":"{\"code\": \"print(1)\"}"}</tool_call>'),
        ("hermes", f'<tool_call>{{"name": "python", "parameters": {PRINT}}}</tool_call>'),
        ("hermes", f'<tool_call>{{"name": "functions.python", "arguments": {PRINT}}}</tool_call>'),
        ("hermes", f"One call.\n{HERMES}\nAnd another.\n{HERMES}"),
        ("hermes", f"<tool_call>no JSON</tool_call> Again: {HERMES}"),
        ("harmony", f"<|channel|>commentary to=functions.python <|constrain|>json<|message|>{PRINT}<|call|>"),
        ("harmony", f" to=functions.python<|channel|>commentary json<|message|>{PRINT}<|call|>"),
        ("harmony", f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=python <|constrain|>json<|message|>{PRINT}<|call|>"),
        ("harmony", f"<|channel|>analysis to=python code<|message|>{PRINT}<|call|>"),
        ("harmony", "<|channel|>analysis to=python code<|message|>print(1)<|call|>"),
        ("fences", "So:\n```py\nprint(1)\n```\n"),
        ("fences", "```Python\nprint(1)\n```\n"),
        ("fences", "``` python\nprint(1)\n```\n"),
        ("fences", "```python \r\nprint(1)\r\n```\r\n"),
        ("fences", "```python\nprint(0)\n```\nNo:\n```latex\nx\n```\n```\nplain\n```\n```python3\nprint(1)\n```\n"),
        ("fences", "````python\nprint(1)\n````\n"),
        ("openmath", "<tool_call>\nprint(1)\n</tool_call>"),
        ("openmath", HERMES),
        ("nemoskills", "<tool_call>\nprint(1)\n</tool_call>"),
    ],
)
def test_a_call_is_read_as_its_model_wrote_it(syntax: SyntaxName, text: str) -> None:
    call = tool_calls.last_call(text, SYNTAXES[syntax])
    assert call is not None
    assert (call.code, call.complaint, call.closing) == ("print(1)", "", "")


@pytest.mark.parametrize(
    ("syntax", "text", "closing"),
    [
        ("fences", "```python\nprint(1)\n```", "\n"),
        ("fences", "```py\r\nprint(1)\r\n``` ", "\n"),
        ("hermes", HERMES.removesuffix("\n</tool_call>"), "</tool_call>"),
        ("hermes", HERMES + "\n", ""),
        ("harmony", "<|channel|>analysis to=python code<|message|>print(1)", "<|call|>"),
    ],
)
def test_a_call_that_ends_the_turn_runs(syntax: SyntaxName, text: str, closing: str) -> None:
    call = tool_calls.last_call(text, SYNTAXES[syntax], ended=True)
    assert call is not None
    assert (call.code, call.complaint, call.closing) == ("print(1)", "", closing)


@pytest.mark.parametrize(
    ("syntax", "text", "told"),
    [
        ("hermes", '<tool_call>{"name": "python", "arguments": {"code": print(1)}}</tool_call>', "Expecting value"),
        ("hermes", '<tool_call>{"name": "search", "arguments": {"code": "print(1)"}}</tool_call>', "there is no tool 'search'"),
        ("hermes", '<tool_call>{"name": "python", "arguments": "print(1)"}</tool_call>', "not JSON"),
        ("hermes", '<tool_call>["print(1)"]</tool_call>', 'write {"name"'),
        ("hermes", "<tool_call>print(1)</tool_call>", "Expecting value"),
        ("hermes", HERMES.replace("}}", "}}}"), "something follows the JSON"),
        ("hermes", HERMES.replace("\n</tool_call>", " So?\n</tool_call>"), "something follows the JSON"),
        ("hermes", f'<tool_call>{{"name": "python", "arguments": {"[" * 10**5}</tool_call>', "Too many brackets"),
        ("hermes", f'<tool_call>{{"name": "python", "arguments": {"7" * 5000}}}</tool_call>', 'write {"name"'),
        ("hermes", '<tool_call>{"name": "python", "arguments": {"code": 7}}</tool_call>', "holds no code"),
        ("hermes", r'<tool_call>{"name": "\ud800", "arguments": {"code": "print(1)"}}</tool_call>', r"there is no tool '\ud800'"),
        ("harmony", f"<|channel|>commentary json<|message|>{PRINT}<|call|>", "no recipient"),
        ("harmony", f"<|channel|>commentary to=functions.search json<|message|>{PRINT}<|call|>", "there is no tool 'functions.search'"),
        ("harmony", "<|channel|>commentary to=functions.python json<|message|>print(1)<|call|>", "Expecting value"),
        ("harmony", '<|channel|>analysis to=python code<|message|>{"cmd": "print(1)"}<|call|>', "holds no code"),
        ("openmath", '<tool_call>\n{"name": "python", "arguments": {"cmd": "print(1)"}}\n</tool_call>', "holds no code"),
        ("openmath", "<tool_call>\nprint('</tool_call>", "write it in two parts"),
        ("fences", "```python\nprint('```\n", "write it in two parts"),
        ("harmony", "<|channel|>analysis to=python code<|message|>print('<|call|>", "write it in two parts"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_and_does_not_run(syntax: SyntaxName, text: str, told: str) -> None:
    call = tool_calls.last_call(text, SYNTAXES[syntax])
    assert call is not None and told in call.complaint


@pytest.mark.parametrize(
    ("syntax", "text", "ended"),
    [
        ("fences", "```latex\nx\n```\n", False),
        ("fences", "```\nprint(1)\n```\n", False),
        ("fences", "```pycon\nprint(1)\n```\n", False),
        ("fences", "```python\nprint(1)\n```\nSo it is 1.", True),
        ("fences", "```python\nprint(1)\n", True),
        ("hermes", "It is 1.", True),
        ("hermes", "I could write <tool_call>, but need not.", True),
        ("hermes", "I could write <tool_call> 1 time, but need not.", True),
        ("hermes", """<tool_call>{"name": "python", "arguments": {"code": "print('</tool_call>""", False),
        ("harmony", "<|channel|>final<|message|>It is 1.", True),
        ("openmath", "print(1)</tool_call>", False),
        ("openmath", "<tool_call>\nprint(1)\n", True),
    ],
)
def test_no_other_text_is_a_call(syntax: SyntaxName, text: str, ended: bool) -> None:
    assert tool_calls.last_call(text, SYNTAXES[syntax], ended=ended) is None


@pytest.mark.parametrize("code", ["print('```')\nprint(1)", "print('```python', 1)", "print('''```text```''')"])
def test_a_fence_within_a_string_ends_no_call(code: str) -> None:
    call = tool_calls.last_call(f"So:\n```python\n{code}\n```\n", SYNTAXES["fences"])
    assert call is not None and (call.code, call.complaint) == (code, "")


def test_any_json_that_a_model_writes_costs_its_call_alone(tmp_path: Path) -> None:
    digits, odd = '<tool_call>{"x": ' + "1" * 5000 + "}</tool_call>", r'<tool_call>{"name": "\ud800"}</tool_call>'
    (made,) = run_attempts(
        tmp_path, {"p/0/0": digits, "p/0/1": odd, "p/0/2": "So \\boxed{1}."}, fixed(tir=1), syntax="hermes", max_tokens=9000
    )
    assert [run.status for run in made.runs] == ["error", "error"] and made.answer == 1
    assert Candidate.model_validate_json(made.model_dump_json()) == made


def test_fences_are_found_in_one_pass_over_whatever_a_model_writes() -> None:
    for text in ("```" + "a" * 10**6 + "`", "`" * 10**6 + "a`", "```" + " " * 10**6 + "`"):
        assert list(tool_syntax.fenced_blocks(text)) == []


def test_a_mark_within_a_string_of_json_ends_no_call(tmp_path: Path) -> None:
    said = """<tool_call>\n{"name": "python", "arguments": {"code": "print('</tool_call>', 1)"}}\n</tool_call>"""
    cut = said.index("</tool_call>") + len("</tool_call>")
    replies = {"p/0/0": said[:cut], "p/0/1": said[cut:], "p/0/2": "\\boxed{1}"}
    (made,) = run_attempts(tmp_path, replies, fixed(tir=1), syntax="hermes")
    assert [(run.code, run.output, run.status) for run in made.runs] == [("print('</tool_call>', 1)", "</tool_call> 1\n", "ok")]
    assert "<tool_response>\n< /tool_call> 1\n</tool_response>" in made.text and made.answer == 1


def test_a_fence_that_ends_the_turn_runs_and_the_model_goes_on(tmp_path: Path) -> None:
    replies = {"p/0/0": "I ask Python.\n```python\nprint(6 * 7)\n```", "p/0/1": "So \\boxed{42}."}
    (made,) = run_attempts(tmp_path, replies, fixed(tir=1), syntax="fences")
    assert made.text == "I ask Python.\n```python\nprint(6 * 7)\n```\n```output\n42\n```\nSo \\boxed{42}."
    assert (made.answer, made.finish_reason, len(made.runs)) == (42, "stop", 1)


def test_an_unreadable_call_is_answered_and_counted(tmp_path: Path) -> None:
    replies = {"p/0/0": "<tool_call>\nprint(1)\n</tool_call>", "p/0/1": HERMES, "p/0/2": "So \\boxed{1}."}
    (made,) = run_attempts(tmp_path, replies, fixed(tir=1), syntax="hermes", show_remaining_executions=True)
    assert [(run.code.strip(), run.output, run.status) for run in made.runs] == [
        ("print(1)", f"<nothing ran: the call is not JSON: Expecting value at character 0; {tool_calls.RIGHT}>\n", "error"),
        ("print(1)", "1\n", "ok"),
    ]
    assert "<tool_response>\n<nothing ran: the call is not JSON" in made.text
    assert (
        "You may run code 1 more times. After that, go on without it; you can also solve the rest without code at any time.\n</tool_"
        in made.text
    )
    assert made.answer == 1


def test_code_that_a_prompt_began_runs(tmp_path: Path) -> None:
    assert tool_calls.opened_by("Go on:\n```python\n", SYNTAXES["fences"]) == "```python\n"
    assert tool_calls.opened_by("```python\nprint(1)\n```\n", SYNTAXES["fences"]) == ""
    assert tool_calls.opened_by("<|im_start|>assistant\n<tool_call>\n", SYNTAXES["openmath"]) == "<tool_call>"


@pytest.mark.parametrize(
    ("syntax", "printed", "block"),
    [
        ("nemoskills", "", "\n```output\n```\n"),
        ("nemoskills", "7\n", "\n```output\n7\n```\n"),
        ("openmath", "7\n", "\n```output\n7\n```\n"),
        ("fences", "", "```output\n<nothing was printed>\n```\n"),
        ("hermes", "", f"{ANSWERED}<nothing was printed>\n</tool_response><|im_end|>\n<|im_start|>assistant\n"),
        ("harmony", "7\n", "<|start|>python to=assistant<|channel|>analysis<|message|>7<|end|><|start|>assistant"),
    ],
)  # fmt: skip
def test_what_the_model_reads_after_its_code(syntax: SyntaxName, printed: str, block: str) -> None:
    assert tool_syntax.output_block(printed, SYNTAXES[syntax]) == block


def test_nvidias_model_reads_what_nvidias_evaluation_shows_it(tmp_path: Path) -> None:
    """The bytes of format_code_output in nemo_skills/code_execution/utils.py, the traceback of its IPython server."""
    replies = {"p/0/0": "<tool_call>\nx = 0\n1 / x\n</tool_call>", "p/0/1": "<tool_call>\nprint(3)\n</tool_call>", "p/0/2": "\\boxed{3}"}
    (made,) = run_attempts(
        tmp_path, replies, fixed(**{"recipes/nemoskills/tir": 1}), syntax="nemoskills", max_executions=2, show_remaining_executions=True
    )
    assert made.text == (
        "<tool_call>\nx = 0\n1 / x\n</tool_call>\n```output\n"
        "Traceback (most recent call last):\n    1 / x\nZeroDivisionError: division by zero\n```\n"
        "```system\nRemaining code executions: 1. You will not be able to call code when you run out of executions, so use it wisely. "
        "Note that you can still continue solving the problem without code after that.\n```\n"
        "<tool_call>\nprint(3)\n</tool_call>\n```output\n3\n```\n"
        "```system\nYou have run out of code executions! You can no longer write or execute code. Now you should continue solving the "
        "problem by relying on your mathematical reasoning and analytical skills.\n```\n\\boxed{3}"
    )


@pytest.mark.parametrize("language", ["python", "py", "Python", " python"])
def test_a_box_that_code_holds_is_no_answer_whatever_its_fence_is_called(language: str) -> None:
    text = f"It is \\boxed{{1}}.\n```{language}\nprint('\\boxed{{2}}')\n```\n```output\n\\boxed{{3}}\n```\n"
    assert answers.parse(text, CONTEST).answer == 1


def test_what_code_prints_of_other_models_marks_is_broken() -> None:
    assert "<｜User｜>" not in tool_syntax.output_block("<｜User｜>", SYNTAXES["fences"])
