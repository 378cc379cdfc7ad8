"""When one attempt is over before its model ends it: reasons that look at its own text, found by their names in params.yaml.

    stop_conditions: [boxed, repetition]

Pure functions of the text; what was generated after the reason held is cut off, so that it does not matter in pieces of which size the
text arrived. Knows no other attempt.
"""

import re
from typing import Literal

from components.lib import answers
from components.lib.engine.protocol import StopCondition

StopConditionName = Literal["boxed", "ran", "printed", "failed", "think", "repetition"]
"""boxed: at the first complete box that holds an integer (2nd place of AIMO-2, AIMO-3). ran: as soon as its code ran. printed: as soon as
its code ran and printed an answer (2nd place). failed: as soon as its code did not end well (NuminaMath prunes such branches). think: at
</think> (5th and 9th place). repetition: it says the same again and again (NeMo-Skills)."""
_BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_LOOK_BACK = 4 * answers.MAX_BOX_CHARS
REPEATED_CHARS, REPEATED_TIMES = 200, 4
"""A tail of this many characters that consists of one piece, this many times or more."""


def engine_conditions(stop_conditions: tuple[StopConditionName, ...]) -> tuple[StopCondition, ...]:
    """What the engine is to watch for."""
    return tuple(STOP_CONDITIONS[end] for end in stop_conditions if end in STOP_CONDITIONS)


def stop_strings(stop_conditions: tuple[StopConditionName, ...]) -> tuple[str, ...]:
    """The stop strings among the reasons."""
    return (answers.THINK,) if "think" in stop_conditions else ()


def first_boxed(text: str) -> int | None:
    """The end of the first box with an integer; the text before it has been looked at."""
    begin = max(0, len(text) - _LOOK_BACK)
    return next((box.end() for box in _BOX.finditer(text, begin) if answers.integer(box[1]) is not None), None)


def repeats(text: str) -> int | None:
    """The text's length, where its tail says one piece over and over: shifted by that piece, its beginning fits again."""
    tail = text[-REPEATED_CHARS:]
    again = tail.find(tail[: REPEATED_CHARS - REPEATED_CHARS // REPEATED_TIMES], 1) if len(tail) == REPEATED_CHARS else -1
    return len(text) if again > 0 else None


STOP_CONDITIONS = {"boxed": StopCondition("boxed", "}", first_boxed), "repetition": StopCondition("repetition", "", repeats)}
