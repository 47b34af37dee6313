"""The intervals hold for values that depend on each other, as the latencies of a queue do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.intervals import MIN_COUNT, Interval, mean_interval, percentile_interval
from tests.support.single_server import waits_s

NUM_SERIES, NUM_REQUESTS = 300, 10_000
NORMAL = 1.96


def latencies_of_mm1(load: float, seed: int) -> NDArray[np.float64]:
    """(NUM_SERIES, NUM_REQUESTS), the mean service time being 1; without the start from an empty queue."""
    random, warm_up = np.random.default_rng(seed), 1000
    shape = (NUM_SERIES, warm_up + NUM_REQUESTS)
    arrivals = np.cumsum(random.exponential(1 / load, shape), axis=1)
    services = random.exponential(1, shape)
    latencies: NDArray[np.float64] = (waits_s(arrivals, services) + services)[:, warm_up:]
    return latencies


def interval_of(values: NDArray[np.float64], percent: float) -> Interval:
    in_order = np.sort(values)
    value = float(in_order[math.ceil(percent * len(values) / 100) - 1])
    interval = percentile_interval(values, in_order, percent, value)
    assert interval
    return interval


def independent_interval_of(values: NDArray[np.float64], percent: float) -> Interval:
    """What a textbook gives for independent values."""
    in_order, count, share = np.sort(values), len(values), percent / 100
    half = NORMAL * math.sqrt(share * (1 - share) / count)
    low, high = (math.ceil((share + side) * count) - 1 for side in (-half, half))
    return Interval(low=float(in_order[low]), high=float(in_order[min(high, count - 1)]))


def contains(interval: Interval, value: float) -> bool:
    return interval.low <= value and (interval.high is None or value <= interval.high)


@pytest.mark.parametrize(("load", "percent"), [(0.8, 50), (0.8, 90), (0.8, 95), (0.5, 99)])
def test_a_percentile_of_mm1_is_in_its_interval_where_the_textbooks_misses_it(
    load: float, percent: float
) -> None:
    """The latency of M/M/1 is exponential with mean 1 / (1 - load)."""
    true = -math.log(1 - percent / 100) / (1 - load)
    series = latencies_of_mm1(load, seed=round(percent))
    covered = np.mean([contains(interval_of(values, percent), true) for values in series])
    textbook = np.mean([contains(independent_interval_of(values, percent), true) for values in series])
    assert covered >= 0.9
    assert textbook <= 0.65


def test_the_mean_of_mm1_is_in_its_interval() -> None:
    intervals = [mean_interval(values) for values in latencies_of_mm1(0.7, seed=1)]
    assert np.mean([interval is not None and contains(interval, 1 / 0.3) for interval in intervals]) >= 0.9


def test_intervals_of_independent_values_are_not_too_wide() -> None:
    """About as wide as the textbook's: batches cost little where there is nothing to find."""
    series = np.random.default_rng(3).exponential(1, (NUM_SERIES, 2000))
    covered = np.mean([contains(interval_of(values, 90), math.log(10)) for values in series])
    widths = [(interval_of(values, 90), independent_interval_of(values, 90)) for values in series]
    ratio = np.median([(a.high - a.low) / (b.high - b.low) for a, b in widths if a.high and b.high])
    assert covered >= 0.92
    assert 1 <= ratio < 1.4


def test_where_the_largest_value_does_not_bound_a_percentile_there_is_no_upper_end() -> None:
    """One long congestion holds all the values above the p99: how high the next one goes, nobody knows."""
    values = np.ones(1000)
    values[480:500] = np.arange(20) + 10
    interval = interval_of(values, 99)
    assert (interval.low, interval.high) == (1, None)


def test_the_same_value_throughout_is_known_exactly() -> None:
    assert interval_of(np.full(200, 5.0), 50) == Interval(low=5, high=5)
    assert mean_interval(np.full(200, 5.0)) == Interval(low=5, high=5)


def test_no_interval_of_few_values() -> None:
    values = np.arange(MIN_COUNT - 1, dtype=np.float64)
    assert mean_interval(values) is None
    assert percentile_interval(values, values, 50, 49) is None
    assert mean_interval(np.arange(MIN_COUNT, dtype=np.float64)) is not None


def test_the_front_is_left_off_where_batches_do_not_divide_the_series() -> None:
    """The mean is of all values all the same."""
    interval = mean_interval(np.arange(109, dtype=np.float64))
    assert interval
    assert interval.high
    assert 2 / (1 / interval.low + 1 / interval.high) == pytest.approx(54)  # 1 / mean is in the middle


def test_little_evidence_makes_an_interval_wider() -> None:
    values = np.random.default_rng(0).exponential(10, 1000)
    lengths = []
    for evidence in (12, 100, math.inf):
        found = mean_interval(values, evidence)
        assert found
        assert found.high
        lengths.append(1 / found.low - 1 / found.high)
    assert lengths[0] / lengths[2] == pytest.approx(1.25)
    assert lengths[1] / lengths[2] == pytest.approx(1.03)


def test_a_mean_that_may_be_anything_has_no_upper_end() -> None:
    values = np.zeros(100)
    values[0] = 1000
    found = mean_interval(values)
    assert found
    assert found.high is None
    assert 0 < found.low < 10
