"""The columns of a run folder: what others read from them must be there as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnb.record.columns import check_table
from rnb.record.run_folder import REQUESTS, RunFolderError, read
from tests.support.sample_runs import write_run


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("status", 3, "column 'status' is int64, and must be text"),
        ("is_warmup", "x", "column 'is_warmup' is string, and must be true or false"),
        ("num_clips", 1.5, "column 'num_clips' is double, and must be whole numbers"),
        ("score", "x", "column 'score' is string, and must be numbers"),
        ("arrival_ns", [1], "column 'arrival_ns' is list<element: int64>, and must be whole numbers"),
        ("video", None, "column 'video' is null, and must be text"),
        ("request_id", 4, "column 'request_id' has a request twice"),
    ],
)
def test_a_column_of_requests_that_is_not_as_it_was_written(
    tmp_path: Path, name: str, value: Any, message: str
) -> None:
    folder = write_run(tmp_path)
    table = pq.read_table(folder / REQUESTS)
    read(folder)
    changed = pa.array([value] * table.num_rows)
    pq.write_table(table.set_column(table.column_names.index(name), name, changed), folder / REQUESTS)
    with pytest.raises(RunFolderError) as caught:
        read(folder)
    assert str(caught.value) == f"{folder}: a damaged run folder: {message}"


def test_a_column_that_nobody_knows(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    table = pq.read_table(folder / REQUESTS)
    pq.write_table(table.append_column("mood", pa.array(["good"] * table.num_rows)), folder / REQUESTS)
    assert set(read(folder).requests["mood"]) == {"good"}


def test_a_request_without_an_arrival(tmp_path: Path) -> None:
    folder = write_run(tmp_path)
    table = pq.read_table(folder / REQUESTS)
    gaps = pa.array([None, *table["arrival_ns"].to_pylist()[1:]])
    pq.write_table(
        table.set_column(table.column_names.index("arrival_ns"), "arrival_ns", gaps), folder / REQUESTS
    )
    with pytest.raises(RunFolderError, match="column 'arrival_ns' has gaps"):
        read(folder)


def column(*values: Any) -> dict[str, pa.ChunkedArray]:
    return {"one": pa.chunked_array([pa.array(values)])}


def test_what_tables_may_hold() -> None:
    check_table("telemetry", column(1.5, None))
    check_table("telemetry", column())
    check_table("kernels", column("a"))
    check_table("a user's own", column([1], None))
    with pytest.raises(ValueError, match="column 'one' is string, and must be numbers"):
        check_table("telemetry", column("a"))
    with pytest.raises(ValueError, match="must be numbers or text"):
        check_table("kernels", column([1]))
