"""Figures as people read them."""

from __future__ import annotations

import math

import pytest

from rnb.show.page.wording import duration, in_unit, milliseconds, number, share, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (12345, "12,345"),
        (1234.56, "1,235"),
        (12.345, "12.3"),
        (1.0, "1.00"),
        (0.012345, "0.0123"),
        (-0.5, "-0.500"),
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (0, "0 ms"),
        (0.0005, "500 ns"),
        (0.0456, "45.6 µs"),
        (12.3, "12.3 ms"),
        (7800, "7.80 s"),
        (-2.5, "-2.50 ms"),
    ],
)
def test_durations(value_ms: float, text: str) -> None:
    assert duration(value_ms) == text


def test_milliseconds_have_the_same_digits() -> None:
    assert [milliseconds(value) for value in (0.05, 12.3456, 1234.5, None)] == [
        "0.050",
        "12.346",
        "1,234.500",
        "-",
    ]


def test_shares() -> None:
    assert [share(value) for value in (1.0, 0.1234, -0.0001, None, math.nan)] == [
        "100.0 %",
        "12.3 %",
        "0.0 %",
        "-",
        "-",
    ]


def test_sizes() -> None:
    assert [size(value) for value in (512, 1536, 9.5 * 2**30, None)] == ["512 B", "1.50 KiB", "9.50 GiB", "-"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "ms", "0"),
        (20, "ms", "20 ms"),
        (2000, "ms", "2 s"),
        (0.5, "s", "500 ms"),
        (40, "%", "40 %"),
        (250, "/s", "250/s"),
    ],
)
def test_ticks(value: float, unit: str, text: str) -> None:
    assert in_unit(value, unit) == text
