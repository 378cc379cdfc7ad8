"""Holds tables against expectations, and says what failed by the rows' ids. The only importer of Great Expectations beside the suites.

A table comes as a stream and is checked in batches, all of its rows, in memory that does not grow with it: every expectation looks at one
row, and what needs the whole table (has an earlier row this id?) is a column that the suite computed while it read. Everything
is in memory: an ephemeral context, pandas tables, results as plain data without times, in a stable order.
"""

import heapq
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from components.lib.pinned import Pinned

SHOWN = 10
"""Failing rows that a result names."""
BATCH = 20_000
"""Rows that are held at once."""


class Limits(NamedTuple):
    """The numbers of params.yaml that a suite uses."""

    min_rows: int
    max_statement_chars: int
    max_share_dropped: float
    max_share_unanswered: float
    max_reason_share: float
    kinds: list[str]
    champion: Pinned | None
    max_drift: float


class Checks(NamedTuple):
    """A table, row by row, and what is expected of it."""

    suite: str
    columns: Mapping[str, str]
    """Their pandas types by name; one column is `id`."""
    rows: Iterable[Mapping[str, Any]]
    expectations: list[Any]


class Result(NamedTuple):
    """One expectation, held against the table."""

    suite: str
    expectation: str
    column: str
    severity: str
    success: bool
    rows: int
    unexpected: int
    first: list[dict[str, Any]]
    """The first unexpected rows in the order of their ids: id and value."""

    def __str__(self) -> str:
        shown = ", ".join(f"{row['id']} ({_short(row['value'])})" for row in self.first)
        return f"{self.suite}: {self.expectation} of '{self.column}': {self.unexpected} of {self.rows} rows: {shown}"


def run(checks: list[Checks]) -> list[Result]:
    """The results of all suites, sorted by suite, column and expectation."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)  # it tells of a folder that it removed
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("memory")
    results: list[Result] = []
    for one in checks:
        definition = source.add_dataframe_asset(one.suite).add_batch_definition_whole_dataframe("all")
        results += _validated(one, definition, gx.ExpectationSuite(one.suite, expectations=one.expectations))
    return sorted(results)


def _validated(checks: Checks, definition: Any, suite: Any) -> Iterable[Result]:
    """The results of one table, its batches added up."""
    named = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
    found: dict[tuple[str, str], Result] = {}
    for table in _tables(checks):
        answer = definition.get_batch({"dataframe": table}).validate(suite, result_format=named)
        for one in answer.to_json_dict()["results"]:
            result = _result(checks.suite, one)
            key = result.expectation, result.column
            found[key] = _added(found[key], result) if key in found else result
    return found.values()


def _tables(checks: Checks) -> Iterator[Any]:
    import pandas as pd

    stream = iter(checks.rows)
    batch = list(itertools.islice(stream, BATCH))
    while True:
        yield pd.DataFrame(batch, columns=list(checks.columns)).astype(dict(checks.columns))
        batch = list(itertools.islice(stream, BATCH))
        if not batch:
            return


def _added(one: Result, other: Result) -> Result:
    first = heapq.nsmallest(SHOWN, [*one.first, *other.first], key=lambda row: str(row["id"]))
    return one._replace(
        success=one.success and other.success, rows=one.rows + other.rows, unexpected=one.unexpected + other.unexpected, first=first
    )


def _result(suite: str, one: dict[str, Any]) -> Result:
    config, found = one["expectation_config"], one["result"]
    if one["exception_info"].get("raised_exception"):
        raise RuntimeError(f"{suite}: {config['type']}: {one['exception_info']['exception_message']}")
    column = config["kwargs"]["column"]
    unexpected = heapq.nsmallest(SHOWN, found.get("unexpected_index_list") or [], key=lambda row: str(row["id"]))
    first = [{"id": row["id"], "value": _short(row.get(column, row["id"]))} for row in unexpected]
    return Result(
        suite, config["type"], column, config["severity"], one["success"], found["element_count"], found["unexpected_count"], first
    )


def _short(value: Any) -> Any:
    return f"{value[:57]}..." if isinstance(value, str) and len(value) > 60 else value
