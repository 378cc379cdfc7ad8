"""When a question's answer is settled: pure functions of what has finished, one per kind, found by its name in params.yaml.

A rule sees the finished candidates' answers in order of finishing (None abstains) and how many still run. It knows neither engines
nor clocks, so that a live sitting and a replay of stored candidates can ask the same function.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from components.core.params import Settings


class Never(Settings):
    """All candidates run to their end."""

    kind: Literal["none"]

    def settled(self, finished: Sequence[int | None], running: int) -> bool:
        return False


class Agree(Settings):
    """NVIDIA's rule (write-up of the 1st place, AIMO-2): `equal` of the first `of_first` finished answers are the same."""

    kind: Literal["agree"]
    of_first: int
    equal: int

    def settled(self, finished: Sequence[int | None], running: int) -> bool:
        answers = [answer for answer in finished if answer is not None][: self.of_first]
        return bool(answers) and Counter(answers).most_common(1)[0][1] >= self.equal


Stop = Annotated[Never | Agree, Field(discriminator="kind")]
