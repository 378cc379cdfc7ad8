"""What a reader hands over, and the pieces that all of them need."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from components.core.errors import UserError
from components.core.types import Candidate, Problem
from components.lib import answers


class ImportedPool(NamedTuple):
    """A foreign pool as rows."""

    problems: list[Problem]
    candidates: list[Candidate]
    """Problem by problem, in the order of `problems`."""
    dropped: dict[str, int]
    """What was left out, by reason."""


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a JSON lines file, gzipped or not; raises UserError naming file and line."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; --source names the folder that holds it")
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}, line {number}: not JSON ({error})") from None


def candidate(
    problem: str,
    index: int,
    contest: answers.Contest,
    *,
    answer: str,
    num_tokens: int,
    seconds: float,
    mode: str,
    text: str = "",
    printed: str = "",
    finish_reason: Literal["stop", "cancelled"] = "stop",
) -> Candidate:
    """A row; `answer` and what code `printed` are read as the content of a box is, "" is none. A print votes where there is no answer."""
    boxed, shown = (answers.parse(f"\\boxed{{{raw}}}" if raw else "", contest) for raw in (answer, printed))
    voted = shown if boxed.answer is None and shown.answer is not None else boxed
    if finish_reason == "cancelled":
        voted = answers.ParsedAnswer(None, "cancelled", None, False)
    return Candidate(
        problem=problem,
        index=index,
        mode=mode,
        text=text,
        answer=voted.answer,
        abstained=voted.reason,
        boxed=boxed.answer,
        printed=shown.answer,
        runs=(),
        num_tokens=num_tokens,
        entropies=(),
        seconds=seconds,
        finish_reason=finish_reason,
        seed=0,
        rank=None,
        isolation="unknown",
        parent=None,
    )
