"""Columns of NumPy as Arrow's: as `pyarrow.array` makes them, without what that imports."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from rnb.record.arrow import arrow_column

COLUMNS = [
    np.arange(20, dtype=np.int32),
    np.arange(40).reshape(20, 2)[:, 1],  # with gaps
    np.linspace(-1, 1, 11),
    np.array([np.nan, np.inf, 0.5], np.float32),
    np.arange(11) % 3 == 0,
    np.array(["", "a", "für\n", "片"], object),
    np.array(["one", "three"]),
    np.array([], object),
    np.array([], np.int64),
]


@pytest.mark.parametrize("values", COLUMNS, ids=lambda values: f"{values.dtype} {len(values)}")
def test_columns_are_as_arrow_makes_them(values: NDArray[Any]) -> None:
    column = arrow_column(values)
    column.validate(full=True)
    np.testing.assert_array_equal(column.to_numpy(zero_copy_only=False), values)
    assert column.type == (pa.string() if values.dtype == object else pa.array(values).type)


def test_what_is_not_there_is_null() -> None:
    times = np.array([5, 0, 7, 0, 0, 1, 2, 3, 0, 9])
    column = arrow_column(times, is_null=times == 0)
    assert column.equals(pa.array([time or None for time in times.tolist()]))
    assert column.null_count == 4


def test_bytes_that_are_no_text_are_escaped() -> None:
    assert arrow_column(np.array(["a\udcff"], object)).to_pylist() == ["a\\udcff"]


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError):
        arrow_column(np.array(["a", None], object))


def test_pandas_is_not_imported() -> None:
    pytest.importorskip("pandas")
    lines = (
        "import sys, numpy",
        "from rnb.record.arrow import arrow_column",
        "arrow_column(numpy.arange(3)), arrow_column(['a'])",
        "sys.exit('pandas' in sys.modules)",
    )
    assert subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False).returncode == 0
