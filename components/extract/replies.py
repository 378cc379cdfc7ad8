r"""What a model's reply says: pure functions from text to problems, to yes or no, to a final answer.

The rules are NeMo-Skills' (recipes/openmathreasoning/scripts/postprocess_{problem_extraction,classification,answer_extraction}.py), with
three repairs: a heading counts only at the beginning of a line, a reply without any heading is told apart from "no problem",
and an answer is the line after "Answer:", not all that follows it.
"""

import re

NO_PROBLEM = "no problems identified"
_HEADING = re.compile(r"^[ \t*#>-]*Problem\s+\d+\s*:[ \t]*\**", re.MULTILINE | re.IGNORECASE)
_ANSWER = re.compile(r"\banswer\**\s*:[\s*]*(.*)", re.IGNORECASE)


def problems(reply: str) -> list[str] | None:
    """The statements in a reply, none where it says that there are none; None where it says neither."""
    if NO_PROBLEM in reply.lower():
        return []
    _, *statements = _HEADING.split(reply)
    return [text.strip() for text in statements if text.strip()] or None


def says(kind: str, reply: str) -> bool:
    """Whether a reply begins with the word of the kind: "proof" does, "not proof" and "It is a proof" do not."""
    return reply.strip().lower().startswith(kind)


def answer(reply: str) -> str | None:
    """The final answer as it is written, or None where there is none."""
    output = reply.rpartition("Output:")[2]
    found = _ANSWER.findall(output)
    text = found[-1].strip().strip("*").strip() if found else ""
    return None if not text or "answer not found" in output.lower() or text.lower() in {"not found", "none"} else text
