"""Sampling plans: which attempts a question gets and in which rounds. One small file each, found by its `kind` in params.yaml.

A plan is a frozen Settings with `max_concurrency` (attempts alive at once), `prompts` (the prompt files it asks by) and `sample`, which
makes a question's attempts and runs them. A new plan is one file and its name in `Plan`.
"""

from typing import Annotated

from pydantic import Field

from components.solve.plans.branching import Branching
from components.solve.plans.fixed import Fixed
from components.solve.plans.forced import Forced
from components.solve.plans.second_round import SecondRound
from components.solve.plans.staged import Staged

Plan = Annotated[Fixed | Branching | Staged | Forced | SecondRound, Field(discriminator="kind")]
