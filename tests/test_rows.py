"""Row files carry the version of their format: what another version wrote is refused in words, never misread."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.types import Problem
from tests.row_fixtures import problem


def test_a_sealed_file_names_its_format_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "problems.parquet"
    rows.write(path, [problem("p"), problem("q")], Problem)
    assert pq.read_schema(path).metadata[rows.FORMAT_KEY.encode()] == rows.FORMAT.encode()
    assert list(rows.read(path, Problem)) == [problem("p"), problem("q")]


OTHERS = [(None, "none"), ({rows.FORMAT_KEY: "1"}, "1"), ({"other": "2"}, "none")]


@pytest.mark.parametrize(("metadata", "found"), OTHERS)
def test_a_file_of_another_format_is_refused_with_the_cure(tmp_path: Path, metadata: dict[str, str] | None, found: str) -> None:
    path = tmp_path / "problems.parquet"
    rows.write(path, [problem("p")], Problem)
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with pytest.raises(UserError, match=rf"problems\.parquet: its rows are of format {found} .*reads {rows.FORMAT}; `dvc repro`"):
        list(rows.read(path, Problem))
