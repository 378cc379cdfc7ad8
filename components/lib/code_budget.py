"""How many code blocks an attempt may run, drawn per attempt: a model that is told 1 to 8 of them learns to keep to what it is told.

NVIDIA's paper, section 3.4: a random number in the prompt, and attempts that went beyond it are not trained on. The draw hangs on the
attempt alone, so that the run that asks and the set that is composed of it agree without a field between them.
"""

import random


def draw(seed: int, problem: str, index: int, low: int, high: int) -> int:
    """A number between `low` and `high`, both included."""
    return random.Random(f"{seed}/{problem}/{index}").randint(low, high)
