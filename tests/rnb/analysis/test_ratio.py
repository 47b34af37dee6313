"""Ratios of figures: their value, and an interval that never leaves what a ratio can be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnb.analysis.estimate import MIN_SERIES, Estimate
from rnb.analysis.ratio import Ratio, ratio, ratio_of


def test_the_ratio_of_two_means_has_the_error_of_both() -> None:
    found = ratio(Estimate(value=100.0, error=3.0, degrees=10), Estimate(value=120.0, error=4.0, degrees=10))
    assert found.value == pytest.approx(1.2)
    assert found.log.error == pytest.approx(math.hypot(3 / 100, 4 / 120))


def test_an_interval_never_goes_below_zero() -> None:
    """As a difference it was -50 ± 127 %."""
    found = ratio(Estimate(value=100.0, error=60.0, degrees=4), Estimate(value=50.0, error=30.0, degrees=4))
    assert found.interval
    low, high = found.interval
    assert 0 < low < 0.5 < high
    assert low * high == pytest.approx(0.25)
    assert not found.excludes_one


def test_as_text() -> None:
    known = Ratio(log=Estimate(value=math.log(1.234), error=0.0))
    assert str(known) == "×1.234 (1.234 to 1.234)"
    assert str(Ratio(log=Estimate(value=math.log(1234.5), error=None))) == "×1.23e+03"


def test_a_short_series_has_no_interval() -> None:
    values = 9 + np.random.default_rng(0).random(MIN_SERIES)
    assert ratio_of(values, values + 1).interval is not None
    assert ratio_of(values[:-1], values[:-1] + 1).interval is None


def test_a_ratio_of_throughputs_is_that_of_the_times_for_the_same_work() -> None:
    random = np.random.default_rng(0)
    work = random.choice([1.0, 11.0], 2000)  # clips a video: the same in both runs
    found = ratio_of(work * random.normal(1, 0.05, 2000), 0.9 * work * random.normal(1, 0.05, 2000))
    assert found.value == pytest.approx(1 / 0.9, abs=0.005)
    assert found.log.margin
    assert found.log.margin < 0.01  # unpaired it would be ten times that, from the videos' lengths alone
