"""What is looked at before attempts are made for a set: are they asked with the code budget that the set's prompts will name?"""

from collections.abc import Iterator

from components.core.params import PARAMS, at
from components.core.preflight import Facts, Finding


def check(facts: Facts) -> Iterator[Finding]:
    """The set with code, whose attempts are the teacher's."""
    path = facts.root / PARAMS
    wanted = at(facts.params, "compose.tir.rows", path).get("budget")
    solve = {**at(facts.params, "solve.common", path), **at(facts.params, "solve.teacher", path)}
    if wanted and wanted != solve["code_budget"]:
        says = f"the rows' prompts name {wanted}, the teacher is asked with {solve['code_budget']}; write one in both, and let its plan ask"
        yield Finding("stop", "code budget", f"{says} by a prompt that names it (tir-budget)", "compose.tir")
