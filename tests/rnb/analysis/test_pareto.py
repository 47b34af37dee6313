"""The Pareto front."""

from __future__ import annotations

import numpy as np

from rnb.analysis.pareto import pareto_front


def is_beaten(point: tuple[float, float], others: list[tuple[float, float]]) -> bool:
    rate, latency = point
    return any(other[0] >= rate and other[1] <= latency and other != point for other in others)


def test_nobody_on_it_is_beaten_and_all_others_are() -> None:
    random = np.random.default_rng(0)
    points = [(float(rate), float(latency)) for rate, latency in random.integers(0, 12, (200, 2))]
    front = pareto_front(points)
    assert front
    for index, point in enumerate(points):
        assert is_beaten(point, points) == (index not in front)


def test_it_goes_from_the_least_throughput_to_the_most() -> None:
    assert pareto_front([(3.0, 9.0), (1.0, 2.0), (2.0, 5.0), (1.5, 7.0)]) == [1, 2, 0]
