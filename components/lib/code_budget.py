"""How often an attempt may run code, where the prompt says so: a model that is told 1 to 8 times learns to keep to what it is told.

NVIDIA's paper, section 3.4 (arXiv 2504.16891): a random number in the prompt, and attempts that went beyond it are not trained on. The
number hangs on the attempt's name alone, so that `compose` knows what `solve` asked.
"""

import random
from typing import Self

from pydantic import Field, model_validator

from components.core.params import Settings


class CodeBudget(Settings):
    """{low: 1, high: 8}"""

    low: int = Field(ge=1)
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high < self.low:
            raise ValueError(f"high ({self.high}) is below low ({self.low})")
        return self

    def draw(self, problem: str, index: int) -> int:
        """Code blocks that this attempt at a problem may run, `low` to `high`."""
        return random.Random(f"{problem}/{index}").randint(self.low, self.high)
