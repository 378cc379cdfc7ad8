"""Whether a predicted answer is the known one, as far as that can be said without asking a model.

NeMo-Skills prefills its judge the same way: nothing predicted is wrong, equal strings are right. Integers are compared as integers, so
that 016, 16.0 and 16 are one answer. What remains is for a judge; until it has spoken a solution does not count as right.
"""

from typing import Literal

from components.lib.answers import integer


def grade(predicted: str | None, gold: str) -> Literal["right", "wrong"] | None:
    """None: only a judge can say."""
    said, known = (predicted or "").strip(), gold.strip()
    if not said:
        return "wrong"
    if not known:
        return None
    if said == known:
        return "right"
    left, right = integer(said), integer(known)
    if left is None or right is None:
        return None
    return "right" if left == right else "wrong"
