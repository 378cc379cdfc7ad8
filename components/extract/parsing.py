r"""What a model's reply says: pure functions from text to problems, to yes or no, to a final answer.

The rules are NeMo-Skills' (recipes/openmathreasoning/scripts/postprocess_{problem_extraction,classification,answer_extraction}.py), with
four repairs: a heading counts only at the beginning of a line, a reply without any heading is told apart from "no problem",
an answer is the line after "Answer:", not all that follows it, and a class is told by a whole word, whatever marks stand before it.
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


def classification(kind: str, reply: str) -> bool | None:
    """Whether a reply begins with the word of the kind: "proof" does, "not proof" does not. None where it begins with neither."""
    found = re.match(rf"[\W_]*(not[\W_]+)?{kind}(?![^\W_])", reply, re.IGNORECASE)
    return found and found[1] is None


def question(reply: str) -> str | None:
    """The question that a proof was made into, or None where there is none."""
    found = re.match(r"[\W_]*question\W*:[\s*]*(?P<text>\S.*)", reply, re.IGNORECASE | re.DOTALL)
    return found["text"].strip() if found else None


def answer(reply: str) -> str | None:
    """The final answer as it is written, or None where there is none."""
    output = reply.rpartition("Output:")[2]
    found = _ANSWER.findall(output)
    text = found[-1].strip().strip("*").strip() if found else ""
    return None if not text or "answer not found" in output.lower() or text.lower() in {"not found", "none"} else text
