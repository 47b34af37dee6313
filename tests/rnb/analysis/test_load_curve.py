"""Offered and served rates, and the knee between keeping up and falling behind."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.load_curve import LoadPoint, knee, offered_per_s
from tests.support.simulated_runs import simulate


def point(offered: float, served: float) -> LoadPoint:
    return LoadPoint(offered_per_s=offered, served_per_s=served)


def test_the_offered_rate_is_that_of_the_schedule() -> None:
    run = simulate(num_requests=101)
    run.requests["arrival_ns"][:] = np.arange(101) * 20_000_000
    assert offered_per_s(run) == pytest.approx(50)


def test_requests_of_the_warm_up_are_not_offered() -> None:
    run = simulate(num_requests=201)
    run.requests["arrival_ns"][:100] = np.arange(100)
    run.requests["arrival_ns"][100:] = 1_000_000_000 + np.arange(101) * 10_000_000
    run.requests["is_warmup"][:100] = True
    assert offered_per_s(run) == pytest.approx(100)


def test_all_at_once_is_no_rate() -> None:
    run = simulate(num_requests=10)
    run.requests["arrival_ns"][:] = 5
    assert offered_per_s(run) is None
    run.requests["is_warmup"][:] = True
    assert offered_per_s(run) is None
    del run.requests["arrival_ns"]
    assert offered_per_s(run) is None


def test_the_knee_is_the_last_rate_before_the_pipeline_falls_behind() -> None:
    points = [point(100, 99), point(300, 230), point(50, 50), point(200, 196)]
    assert knee(points) == point(200, 196)


def test_a_run_that_kept_up_beyond_one_that_did_not_is_no_knee() -> None:
    assert knee([point(50, 50), point(100, 80), point(150, 149)]) == point(50, 50)


@pytest.mark.parametrize("points", [[], [point(50, 50)], [point(50, 50), point(100, 99)], [point(50, 20)]])
def test_without_both_sides_there_is_no_knee(points: list[LoadPoint]) -> None:
    assert knee(points) is None
