"""The exam's questions: a CSV file with the columns id, question (AIMO-1 and 3 call it problem) and, in a reference file, answer.

An answer is for the score and never leaves this side. The order is a seeded shuffle, or the file's. Where all ids are whole numbers they
are sent as such, as Kaggle's gateway does, whose reader of CSV files infers that: 057 goes out as 57.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from components.core.errors import UserError
from components.lib.answers import Contest, gold

STATEMENTS = ("question", "problem")


class Question(NamedTuple):
    """One problem. `gold` is None where the file has no answers."""

    id: str | int
    text: str
    gold: int | None


class QuestionOrder(NamedTuple):
    """What is asked, in this order."""

    questions: tuple[Question, ...]
    seed: int | None
    """What drew the order, or None where it is the file's."""


def read(path: Path, contest: Contest) -> list[Question]:
    """The questions in the file's order; raises UserError naming the row."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            questions = list(_questions(csv.DictReader(lines, strict=True), path, contest))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8: {error}") from None
    if all(str(question.id).isdecimal() for question in questions):
        questions = [question._replace(id=int(question.id)) for question in questions]
    if len({question.id for question in questions}) < len(questions):
        raise UserError(f"{path}: two ids are one number, as 7 and 07; write ids that stay apart")
    if not questions:
        raise UserError(f"{path}: holds no problem; a row is an id and a question")
    return questions


def _questions(rows: "csv.DictReader[str]", path: Path, contest: Contest) -> Iterator[Question]:
    names = rows.fieldnames or []
    statement = next((name for name in STATEMENTS if name in names), None)
    if "id" not in names or statement is None:
        raise UserError(f"{path}: has the columns {', '.join(names)}; wanted are id, question (or problem) and, for a score, answer")
    seen = set()
    for number, row in enumerate(rows, 1):
        if not row["id"] or not row[statement] or row["id"] in seen:
            raise UserError(f"{path}, row {number}: no id, no {statement}, or the id '{row['id']}' for the second time")
        seen.add(row["id"])
        try:
            yield Question(row["id"], row[statement], gold(row["answer"], contest) if row.get("answer") else None)
        except ValueError as error:
            raise UserError(f"{path}, row {number}: answer: {error}; see contest in params.yaml") from None


def question_order(questions: Sequence[Question], seed: int | None) -> QuestionOrder:
    """The questions in the order that the seed draws, whatever order the file had; in the file's without one."""
    if seed is None:
        return QuestionOrder(tuple(questions), None)
    drawn = sorted(questions, key=lambda question: str(question.id))
    Random(seed).shuffle(drawn)
    return QuestionOrder(tuple(drawn), seed)
