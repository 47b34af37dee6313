"""Intervals must hold for series whose values depend on each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.estimate import MIN_SERIES, Estimate, mean_of, median_of, of_runs


def test_the_mean_of_five_runs() -> None:
    found = of_runs([10.0, 12.0, 11.0, 13.0, 14.0])
    assert (found.value, found.degrees) == (12.0, 4)
    assert found.margin == pytest.approx(2.7764 * np.sqrt(2.5) / np.sqrt(5), rel=1e-4)


def test_one_run_has_no_interval() -> None:
    found = of_runs([10.0])
    assert (found.value, found.margin, found.excludes_zero) == (10.0, None, False)
    assert (found - of_runs([1.0, 2.0])).margin is None


def test_welch() -> None:
    """The cars of NIST's handbook of statistical methods, 1.3.5.3: t = -12.9463 with 136.875 degrees."""
    first = Estimate(value=20.1446, error=6.4147 / np.sqrt(249), degrees=248)
    other = Estimate(value=30.4810, error=6.1077 / np.sqrt(79), degrees=78)
    difference = first - other
    assert difference.error
    assert difference.value / difference.error == pytest.approx(-12.9463, rel=1e-4)
    assert difference.degrees == pytest.approx(136.875, rel=1e-4)


def test_independent_values_have_the_error_of_the_textbook() -> None:
    errors = [mean_of(np.random.default_rng(seed).normal(5, 2, 4000)).error for seed in range(40)]
    assert np.mean([error for error in errors if error]) == pytest.approx(2 / np.sqrt(4000), rel=0.15)


def test_a_short_series_has_no_error() -> None:
    values = np.random.default_rng(0).normal(size=MIN_SERIES)
    assert mean_of(values).error is not None
    for estimate in (mean_of, median_of):
        assert estimate(values[:-1]).error is None


def test_a_series_that_never_changes_is_known_exactly() -> None:
    assert mean_of(np.full(500, 3.0)).margin == 0.0
    assert median_of(np.full(500, 3.0)).margin == 0.0


def test_a_slow_drift_around_zero_is_not_taken_for_an_effect() -> None:
    drift = np.sin(np.linspace(0, 1.6 * np.pi, 2000))
    assert mean_of(drift).error is None


def test_an_overload_that_grows_is_an_effect() -> None:
    found = mean_of(np.linspace(0, 1000, 2000))
    assert found.excludes_zero


def latencies(seed: int, num_requests: int, service: float) -> NDArray[np.float64]:
    """Of a single server with exponential services, at the same arrivals for every seed (Lindley)."""
    arrivals = np.cumsum(np.random.default_rng(0).exponential(1, num_requests))
    services = np.random.default_rng(seed).exponential(service, num_requests)
    done = np.cumsum(services)
    finishes: NDArray[np.float64] = done + np.maximum.accumulate(arrivals - (done - services))
    return finishes - arrivals


@pytest.mark.parametrize(("estimate", "num_found"), [(mean_of, 180), (median_of, 140)])
def test_equal_queues_are_seldom_told_apart_and_different_ones_often(
    estimate: Callable[[NDArray[np.float64]], Estimate], num_found: int
) -> None:
    """5 % wrong is the aim; assuming independence it would be over 60 % here, where the load is 0.8."""
    same, faster = 0, 0
    for seed in range(1, 201):
        first = latencies(2 * seed, 2000, 0.8)
        same += estimate(latencies(2 * seed + 1, 2000, 0.8) - first).excludes_zero
        faster += estimate(latencies(2 * seed + 1, 2000, 0.5) - first).excludes_zero
    assert same <= 20
    assert faster >= num_found
