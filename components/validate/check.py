"""Holds tables against expectations, and says what failed by the rows' ids. The only importer of Great Expectations beside the suites.

Everything here is in memory: an ephemeral context, pandas tables, results as plain data without times, in a stable order.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10
"""Failing rows that a result names."""


class Limits(NamedTuple):
    """The numbers of params.yaml that a suite uses."""

    min_rows: int
    max_statement_chars: int
    max_share_dropped: float
    kinds: list[str]


class Checks(NamedTuple):
    """A table with an `id` column, and what is expected of it."""

    suite: str
    table: "pd.DataFrame"
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

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("memory")
    results = []
    for suite, table, expectations in checks:
        batch = source.add_dataframe_asset(suite).add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
        named = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
        answer = batch.validate(gx.ExpectationSuite(suite, expectations=expectations), result_format=named)
        results += [_result(suite, one) for one in answer.to_json_dict()["results"]]
    return sorted(results)


def _result(suite: str, one: dict[str, Any]) -> Result:
    config, found = one["expectation_config"], one["result"]
    if one["exception_info"].get("raised_exception"):
        raise RuntimeError(f"{suite}: {config['type']}: {one['exception_info']['exception_message']}")
    column = config["kwargs"]["column"]
    unexpected = sorted(found.get("unexpected_index_list") or [], key=lambda row: str(row["id"]))
    first = [{"id": row["id"], "value": _short(row.get(column, row["id"]))} for row in unexpected[:SHOWN]]
    return Result(
        suite, config["type"], column, config["severity"], one["success"], found["element_count"], found["unexpected_count"], first
    )


def _short(value: Any) -> Any:
    return f"{value[:57]}..." if isinstance(value, str) and len(value) > 60 else value
