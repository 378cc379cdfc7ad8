"""What a response is worth: is it a batch that answers what was asked (Kaggle's checks), and does its answer score (the contest's rule).

The two are kept apart as on Kaggle, whose gateway looks at ids and never at answers: "forty-two" is a valid submission that scores nothing.
"""

from typing import Any, NamedTuple

from components.lib.answers import Contest, gold
from components.lib.kaggle.failure import ErrorName, Failure
from components.lib.kaggle.payload import is_a


class ParsedAnswer(NamedTuple):
    """Exactly one is None."""

    answer: int | None
    invalid_reason: str | None
    """Why nothing can score."""


def validated(response: Any, name: str) -> Any:
    """The response as a polars frame with one row for the problem `name`; raises Failure INVALID_SUBMISSION."""
    import polars as pl

    frame = pl.from_pandas(response) if is_a(response, "pandas.DataFrame") else response
    if frame is None:
        raise _invalid("predict returned nothing")
    if not isinstance(frame, pl.DataFrame):
        raise _invalid(f"predict returned {type(response).__name__}, not a polars or pandas DataFrame with the columns id and answer")
    if frame.height != 1:
        raise _invalid(f"{frame.height} rows came back for one problem")
    missing = {"id", "answer"} - set(frame.columns)
    if missing:
        raise _invalid(f"the column {' and '.join(sorted(missing))} is missing; there are: {', '.join(frame.columns)}")
    if frame["id"].to_list() != [name]:
        raise _invalid(f"the answer is for id {frame['id'][0]!r}, asked was {name!r}")
    return frame.select("id", "answer")


def null_answer(name: str) -> Any:
    """The row of a problem whose answer does not count."""
    import polars as pl

    return pl.DataFrame({"id": [name], "answer": [None]}, schema={"id": pl.String, "answer": pl.Int64})


def parse_answer(frame: Any, contest: Contest) -> ParsedAnswer:
    """The whole number that a batch answers, where it is one in the contest's range: nothing is reduced or rounded here."""
    said = frame["answer"][0]
    if said is None:
        return ParsedAnswer(None, "no answer")
    try:
        return ParsedAnswer(gold(said if isinstance(said, str | int | float) else repr(said), contest), None)
    except ValueError as error:
        return ParsedAnswer(None, str(error))


def _invalid(details: str) -> Failure:
    return Failure(ErrorName.INVALID_SUBMISSION, details)
