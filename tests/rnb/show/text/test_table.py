"""Columns of text."""

from __future__ import annotations

from rnb.show.text.table import align


def test_columns_are_aligned() -> None:
    assert align([["", "mean"], ["long name", "1"]]) == ["           mean", "long name     1"]
