"""The stage: one set, held against its suite; critical failures stop the chain, warnings are written down.

A stopped stage leaves no output (the runner moves it into place on success alone), so the full results of a failed gate lie under
`.aimo/validation/`, and the error itself names suite, expectation and rows.
"""

import logging
from typing import Literal

from pydantic import Field

from components.core.errors import UserError
from components.core.params import Config
from components.core.runner import HOME, In, Metrics, Out, write_json
from components.lib.answers import Contest
from components.lib.pinned import Pinned
from components.validate.check import Limits, run
from components.validate.suites import examples, preferences, problems, prompts

log = logging.getLogger(__name__)

SUITES = {"problems": problems.checks, "examples": examples.checks, "preferences": preferences.checks, "prompts": prompts.checks}


class Validate(Config, section="validate", keyed=True):
    """What one set must be like."""

    suite: Literal["problems", "examples", "preferences", "prompts"]
    """A file of suites/."""
    kinds: list[str]
    """The kinds of examples the set may hold; of no account for problems."""
    min_rows: int = Field(ge=0)
    """Training problems, or examples; 0: none is needed, nor a practice problem, since nothing is trained."""
    max_statement_chars: int = Field(ge=1)
    max_share_dropped: float = Field(ge=0, le=1)
    """More is a warning: the set was made, but most of its raw material was lost."""
    max_share_unanswered: float = Field(ge=0, lt=1)
    """Of the problems; more stops the chain. Of no account for sets of rows."""
    max_reason_share: float = Field(ge=0, le=1)
    """Of all that could have been a row, left out for one and the same reason; more is a warning. Of no account for problems."""
    champion: Pinned | None
    """The stats.json of the set that the champion was trained on; null: no drift is looked for. Of no account for problems."""
    max_drift: float = Field(ge=0, le=1)
    """Share of rows that would have to move for the two sets to be alike in length, source or answer; more is a warning."""


def validate(config: Validate, contest: Contest, *, data: In, exam: In, out: Out) -> Metrics:
    """Checks one set; raises UserError naming the failing rows if a critical expectation does not hold."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it tells of every method that it registers on import
    limits = Limits(**{name: getattr(config, name) for name in Limits._fields})
    results = run(SUITES[config.suite](data, exam, limits, contest))
    failed = [result for result in results if not result.success]
    critical = [result for result in failed if result.severity == "critical"]
    report = {"data": str(data), "passed": not critical, "expectations": [result._asdict() for result in results]}
    for result in failed:
        log.info("%s: %s", result.severity, result)
    if critical:
        path = HOME / "validation" / f"{data.name}.json"
        write_json(path, report)
        told = "\n".join(f"  {result}" for result in critical)
        raise UserError(f"{data}: {len(critical)} critical expectations of {len(results)} do not hold (all results: {path}):\n{told}")
    write_json(out, report)
    return {"expectations": len(results), "warnings": len(failed)}
