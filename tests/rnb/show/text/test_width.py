"""Keeping within a terminal."""

from __future__ import annotations

import pytest

from rnb.show.text.width import elided, folded, terminal_width, wrapped

ROWS = [["", "A", "B", "C"], ["mean", "1.000", "2.000", "3.000"], ["p99", "4.000", "5.000", "6.000"]]


def test_a_table_that_fits_stays_whole() -> None:
    assert folded(ROWS, 80) == [
        "          A      B      C",
        "mean  1.000  2.000  3.000",
        "p99   4.000  5.000  6.000",
    ]


def test_columns_that_do_not_fit_come_below() -> None:
    lines = folded(ROWS, 18)
    assert lines == [
        "          A      B",
        "mean  1.000  2.000",
        "p99   4.000  5.000",
        "",
        "          C",
        "mean  3.000",
        "p99   6.000",
    ]


def test_a_cell_wider_than_half_loses_its_middle() -> None:
    assert folded([["a", "0123456789" * 3]], 20) == ["a  0123…6789"]
    assert elided("0123456789", 10) == "0123456789"
    assert elided("0123456789", 9) == "0123…6789"


def test_a_long_line_goes_on_in_the_next() -> None:
    lines = wrapped(["  latency     mean of all requests", "short"], 20)
    assert lines == ["  latency     mean", "      of all", "      requests", "short"]


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "91")
    assert terminal_width() == 91
    monkeypatch.delenv("COLUMNS")
    assert terminal_width() >= 40
