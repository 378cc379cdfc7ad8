"""GenSelect's judgement: what a judge is shown of each candidate, how it is asked, and how its verdict is understood.

Source: NVIDIA's paper (arXiv 2504.16891, section 4) and nemo_skills' genselect prompt. Training rows and exam judgements go
through the same functions. Does not draw candidates and asks no engine.
"""

import re
from collections.abc import Sequence

from components.core.types import Candidate
from components.lib import prompts

SUMMARY_CHARS = 3000
"""Of a summary in a training row (paper's data code). At an exam the paper shows 5,000 and nemo_skills' later version 16,384."""
VERDICT = re.compile(r"[Jj]udge?ment:\s*\[?(\d+)\]?")
"""Both spellings and the bracketed form that the original's own prompt shows but its parser refused."""


def summary(candidate: Candidate, max_chars: int = SUMMARY_CHARS) -> str | None:
    """What the judge sees: the text after the thought. None where that has no single boxed answer, or none that counts.

    A longer one is cut to its last `max_chars` characters, then from its first blank line on, unless the box would be lost with that.
    """
    text = candidate.text.rsplit("</think>", 1)[-1].strip()
    if candidate.answer is None or text.count("\\boxed") != 1:
        return None
    if len(text) > max_chars:
        text = text[-max_chars:]
        after = text.partition("\n\n")[2]
        text = after if "\\boxed" in after else text
    return text if "\\boxed" in text else None


def ask(prompt: str, statement: str, summaries: Sequence[str]) -> str:
    """The user message: the problem and the solutions, numbered from 0 by position (equal texts keep numbers of their own)."""
    solutions = "\n".join(f"#{index}: {text}" for index, text in enumerate(summaries))
    return prompts.render(prompt, statement=statement, solutions=solutions, last=str(len(summaries) - 1))


def parse(verdict: str, shown: int) -> int | None:
    """The position that the last judgment names, or None where it names none of those shown."""
    found = VERDICT.findall(verdict.rsplit("</think>", 1)[-1])
    return int(found[-1]) if found and int(found[-1]) < shown else None
