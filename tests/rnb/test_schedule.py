"""Arrival times: a Poisson process, the same for the same seed."""

import numpy as np

from rnb.schedule import poisson


def test_gaps_are_exponential_with_the_mean_asked_for() -> None:
    arrivals = poisson(mean_interval_ms=5, num_requests=200_000, seed=1)
    gaps_ms = np.diff(arrivals, prepend=0) / 1e6
    assert (gaps_ms >= 0).all()
    assert abs(gaps_ms.mean() - 5) < 0.05
    assert abs(gaps_ms.std() - 5) < 0.1  # an exponential distribution's deviation is its mean
    assert abs(np.mean(gaps_ms > 5) - np.exp(-1)) < 0.01
    assert abs(np.corrcoef(gaps_ms[1:], gaps_ms[:-1])[0, 1]) < 0.01


def test_the_seed_decides() -> None:
    first, again, other = (poisson(mean_interval_ms=5, num_requests=100, seed=seed) for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).any()


def test_an_interval_of_zero_is_all_at_once() -> None:
    assert (poisson(mean_interval_ms=0, num_requests=10, seed=0) == 0).all()
