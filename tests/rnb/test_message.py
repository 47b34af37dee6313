"""Splitting rows into segments."""

import pytest

from rnb.message import split_rows


@pytest.mark.parametrize(
    ("num_rows", "num_segments", "expected"),
    [
        (11, 3, [4, 4, 3]),
        (15, 3, [5, 5, 5]),
        (1, 3, [1, 0, 0]),
        (2, 1, [2]),
        (0, 2, [0, 0]),
        (10, 4, [3, 3, 2, 2]),
    ],
)
def test_rows_are_spread_evenly_with_the_larger_segments_first(
    num_rows: int, num_segments: int, expected: list[int]
) -> None:
    assert split_rows(num_rows, num_segments) == expected
