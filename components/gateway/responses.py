"""What a response is worth: is it a batch that answers what was asked (Kaggle's checks), and does its answer score (the contest's rule).

The two are kept apart as on Kaggle, whose gateway looks at ids and never at answers: "forty-two" is a valid submission that scores nothing.
Imitated is kaggle_evaluation as AIMO-2 had it (2025), but stricter in two things: a batch has the column answer, and no null in it, which
the copy of 2026 refuses at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.lib.answers import Contest, gold
from components.lib.kaggle.failure import ErrorName, Failure
from components.lib.kaggle.payload import is_a


class ParsedAnswer(NamedTuple):
    """Exactly one is None."""

    answer: int | None
    invalid_reason: str | None
    """Why nothing can score."""


def validated(response: Any, name: str | int) -> Any:
    """The response, a frame with one row for the problem `name`; raises Failure INVALID_SUBMISSION."""
    if response is None:
        raise _invalid("predict returned nothing")
    if not (is_a(response, "pandas.DataFrame") or is_a(response, "polars.DataFrame")):
        raise _invalid(f"predict returned {type(response).__name__}, not a polars or pandas DataFrame with the columns id and answer")
    if len(response) != 1:
        raise _invalid(f"{len(response)} rows came back for one problem")
    missing = {"id", "answer"} - set(response.columns)
    if missing:
        raise _invalid(f"the column {' and '.join(sorted(missing))} is missing; there are: {', '.join(map(str, response.columns))}")
    if response["id"].to_list() != [name]:
        raise _invalid(f"the answer is for id {response['id'].to_list()[0]!r}, asked was {name!r}")
    if response["answer"].to_list() == [None] or (response["answer"] != response["answer"]).any():
        raise _invalid(f"the answer for id {name!r} is null")
    return response


def joined(frames: Sequence[Any], path: Path) -> None:
    """Writes all batches as one file; raises Failure INVALID_SUBMISSION, or whatever joining raises, where they make no one table.

    As BaseGateway.write_submission of AIMO-2: pandas joins where the first batch is of pandas, else polars; a batch of the other kind is an
    error that it has no name for. Columns that differ are joined by pandas and refused by polars, answers of two types the other way round.
    """
    import polars as pl

    if is_a(frames[0], "pandas.DataFrame"):
        import pandas as pd

        pd.concat(frames, ignore_index=True).to_parquet(path, index=False)
        return
    try:
        pl.concat(frames, how="vertical_relaxed").write_parquet(path)
    except pl.exceptions.SchemaError as error:
        raise _invalid(f"Inconsistent prediction types: {error}") from None
    except pl.exceptions.ComputeError as error:
        raise _invalid(f"Inconsistent prediction column counts: {error}") from None


def parse_answer(frame: Any, contest: Contest) -> ParsedAnswer:
    """The whole number that a batch answers, where it is one in the contest's range: nothing is reduced or rounded here."""
    (said,) = frame["answer"].to_list()
    try:
        return ParsedAnswer(gold(said if isinstance(said, str | int | float) else repr(said), contest), None)
    except ValueError as error:
        return ParsedAnswer(None, str(error))


def _invalid(details: str) -> Failure:
    return Failure(ErrorName.INVALID_SUBMISSION, details)
