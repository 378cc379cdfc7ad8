r"""A solution's ending, written anew: which of several summaries is taken, and how it joins the thought.

OpenMathReasoning asks for four summaries per solution; one counts where it answers as the solution does, and the longest that counts is
taken (paper, section 2.3; at most 5 % of the solutions have none and are left out). The thought is cut after the sentence of its last
box: the original means to do so too, but its pattern holds a stray quotation mark and never matches.
"""

import re
from collections.abc import Callable, Sequence

from components.core.types import Candidate
from components.lib import answers
from components.lib.answers import Contest

_BOX = re.compile(r"\\boxed\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}[^\n]*")


def longest(texts: Sequence[str], valid: Callable[[str], bool]) -> str | None:
    """The longest valid text, the first among equally long ones; None where none is valid."""
    return max((text for text in texts if valid(text)), key=len, default=None)


def choose(candidate: Candidate, texts: Sequence[str], contest: Contest) -> str | None:
    """The summary to take: of those that answer what the candidate answers. Where both are right they agree, so one rule covers both."""
    return longest(texts, lambda text: candidate.answer is not None and answers.parse(text, contest).answer == candidate.answer)


def joined(candidate: Candidate, summary: str) -> Candidate:
    """The attempt with its ending replaced; a text without a thought has no ending to replace and is all summary."""
    thought, closed, _ = candidate.text.rpartition("</think>")
    kept = trimmed(thought) if closed else ""
    text = f"{kept}\n</think>\n{summary.strip()}" if closed else summary.strip()
    return candidate.model_copy(update={"text": text, "inserted": tuple(span for span in candidate.inserted if span.end <= len(kept))})


def trimmed(thought: str) -> str:
    """The thought up to the end of the line of its last box; all of it where it holds none."""
    boxes = list(_BOX.finditer(thought))
    return (thought[: boxes[-1].end()] if boxes else thought).rstrip()
