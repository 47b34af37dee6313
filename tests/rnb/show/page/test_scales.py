"""Axes: round ticks, and places between 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.show.page.scales import exactly, linear, logarithmic, percentiles, wide


@pytest.mark.parametrize(
    ("high", "ticks"),
    [(5, (0, 1, 2, 3, 4, 5)), (73, (0, 20, 40, 60, 80)), (0.9, (0, 0.2, 0.4, 0.6, 0.8, 1)), (0, (0, 1))],
)
def test_a_linear_axis_ends_at_a_round_number(high: float, ticks: tuple[float, ...]) -> None:
    scale = linear(high, "")
    assert scale.ticks == pytest.approx(ticks)
    assert scale.high == ticks[-1]
    assert scale.positions([0, scale.high / 2, scale.high]).tolist() == [0, 0.5, 1]


def test_an_axis_that_ends_where_the_data_does() -> None:
    scale = exactly(0, 28.2, "s")
    assert scale.ticks == (0, 10, 20)
    assert scale.position(28.2) == 1


def test_changes_have_a_tick_at_none() -> None:
    assert 1.0 in exactly(0.78, 1.04, "").ticks


def test_a_logarithmic_axis_gives_each_power_the_same_room() -> None:
    scale = logarithmic(1.2, 90, "ms")
    assert scale.ticks == pytest.approx((1, 2, 5, 10, 20, 50, 100))
    assert scale.positions([1, 10, 100]) == pytest.approx([0, 0.5, 1])


def test_a_wide_logarithmic_axis_has_few_ticks() -> None:
    assert len(logarithmic(1e-3, 1e9, "ms").ticks) <= 10


def test_a_logarithmic_axis_of_one_value() -> None:
    scale = logarithmic(10, 10, "ms")
    assert scale.low < scale.high
    assert 0 <= scale.position(10) <= 1


def test_each_nine_of_the_percentile_axis_has_the_same_room() -> None:
    scale = percentiles(3)
    assert [scale.label(tick) for tick in scale.ticks] == ["p0", "p50", "p90", "p95", "p99", "p99.9"]
    assert scale.positions([0, 0.9, 0.99, 0.999]) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_small_values_are_seen_beside_large_ones() -> None:
    assert wide(10, 60, "ms").kind == "linear"
    assert wide(1, 600, "ms").kind == "log"
    assert wide(0, 600, "ms").kind == "linear"


def test_what_is_beyond_an_end_is_put_on_it() -> None:
    assert linear(10, "").positions([-5, 50]).tolist() == [0, 1]
    assert logarithmic(1, 10, "").positions([0, -1, 100]).tolist() == [0, 0, 1]
    assert percentiles(2).positions([1.0]).tolist() == [1]


def test_missing_values_have_no_place() -> None:
    assert np.isnan(linear(10, "").positions([np.nan])).all()
