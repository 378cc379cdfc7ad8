"""Which benchmarks a model's training rows asked: a small file in its folder, so that no exam is run that was seen before.

compose counts such rows in a set's stats.json, train adds them to what the model it starts from had seen, quantize copies the file with the
tokenizer's, solve refuses. Of a model that was trained elsewhere nothing is known here.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from components.core.errors import UserError
from components.core.runner import write_json
from components.core.types import Problem

FILE = "contamination.json"


def of(model: Path) -> dict[str, int]:
    """Training rows by benchmark; {} where no training of this project wrote any down."""
    return _rows(model / FILE) if (model / FILE).exists() else {}


def inherit(start: Path, stats: Path, out: Path) -> None:
    """Writes into `out` what `start` had seen and what the set behind this stats.json adds."""
    if not stats.is_file():
        raise UserError(f"{stats}: no such file; compose writes it beside the rows: make the set again")
    write_json(out / FILE, {"contaminated_by": dict(Counter(of(start)) + Counter(_rows(stats)))})


def refuse(model: Path, asked: Iterable[Problem], exam: Path) -> None:
    """Raises UserError where the exam asks problems of a benchmark that the model was trained on."""
    names = {problem.source for problem in asked if not problem.contaminated_by}  # one that says so itself was curated: it is no exam's
    both = {name: num for name, num in sorted(of(model).items()) if name in names}
    if both:
        told = ", ".join(f"'{name}' ({num} rows)" for name, num in both.items())
        raise UserError(
            f"{exam}: {model} was trained on problems of {told}, so this exam would measure its memory; take them out of "
            "curate.allowed_benchmarks in params.yaml and train again, or run another exam"
        )


def _rows(path: Path) -> dict[str, int]:
    try:
        return {str(name): int(num) for name, num in json.loads(path.read_text(encoding="utf-8"))["contaminated_by"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: does not say `contaminated_by` as rows by benchmark ({error!r}); make it again") from None
