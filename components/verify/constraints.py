"""What a statement itself says of its answer, as far as that can be read for sure: what is outside is wrong, what is inside may be right.

Only the last thing that is asked for counts, and only in forms that leave no doubt: "Find the remainder when ... is divided by 1000" and
"the answer modulo 1000" bound it; "the least positive integer" and "the three-digit number" do where answers are not reduced. A condition
on some other number ("n leaves the remainder 3 when divided by 7") is not one on the answer. No mathematics is done.
"""

import re
from typing import NamedTuple

from components.lib.answers import Contest, integer

VERB = r"(?:find|determine|compute|calculate|evaluate|give|what\s+(?:is|are|was|were))"
ASKS = re.compile(rf"\b(?:{VERB}|how\s+(?:many|much))\b", re.IGNORECASE)
NUMBER = r"\s*(?:\$|\\\()?\s*(?P<number>\d[\d^{}+\-*\\, ]*)"
REMAINDER = re.compile(rf"^{VERB}\s+the\s+remainder\s+(?:\w+\s+)?when\b.*\bdivided\s+by\b" + NUMBER, re.IGNORECASE | re.DOTALL)
MODULO = re.compile(r"\banswer\b[^.?!]{0,40}\bmod(?:ulo)?\b" + NUMBER, re.IGNORECASE)
EXTREME = rf"^{VERB}\s+the\s+(?:(?:least|smallest|largest|greatest|unique|only)\s+)?(?:possible\s+)?"
POSITIVE = re.compile(EXTREME + r"positive\s+integer\b(?!s)", re.IGNORECASE)
DIGITS = re.compile(EXTREME + r"(?P<digits>two|three|four|five|six|[2-6])-digit\s+(?:positive\s+)?(?:integer|number)\b(?!s)", re.IGNORECASE)
WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


class Bound(NamedTuple):
    """The answer is at least `low` and at most `high`."""

    low: int
    high: int | None
    why: str


class ConstraintResult(NamedTuple):
    """Whether an answer keeps all limits; None where nothing but the contest's range is known, which it keeps."""

    score: float | None
    detail: str


def check_constraints(statement: str, answer: int, contest: Contest) -> ConstraintResult:
    """Holds an answer against the contest's range and the statement's own limits."""
    said = bounds(statement, contest)
    for limit in (Bound(contest.low, contest.high, "the contest's range"), *said):
        if answer < limit.low or (limit.high is not None and answer > limit.high):
            return ConstraintResult(0.0, f"{answer} breaks: {limit.why}")
    return ConstraintResult(1.0, "; ".join(limit.why for limit in said)) if said else ConstraintResult(None, "the statement names no limit")


def bounds(statement: str, contest: Contest) -> list[Bound]:
    """What the statement's last question says of its answer."""
    asked = statement[max((match.start() for match in ASKS.finditer(statement)), default=len(statement)) :]
    found = []
    modulus = _modulus(asked)
    if modulus:
        found.append(Bound(0, modulus - 1, f"below the modulus {modulus}"))
    elif contest.modulus is None:  # a reduced answer keeps neither sign nor digits
        digits = DIGITS.search(asked)
        if digits:
            num = WORDS.get(digits["digits"].lower()) or int(digits["digits"])
            found.append(Bound(10 ** (num - 1), 10**num - 1, f"{num} digits"))
        elif POSITIVE.search(asked):
            found.append(Bound(1, None, "positive"))
    return found


def _modulus(asked: str) -> int | None:
    """Where the remainder or the answer modulo a number is asked for: that number."""
    match = MODULO.search(asked) or (REMAINDER.search(asked) if len(re.findall(r"divided\s+by", asked, re.IGNORECASE)) == 1 else None)
    number = integer(match["number"].strip(" ,\\-+*")) if match else None
    return number if number is not None and number > 1 else None
