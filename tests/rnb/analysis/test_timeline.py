"""Latency and throughput over time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rnb.analysis.timeline import MAX_POINTS, MAX_SLICES, timeline
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def test_few_requests_are_kept_as_points_where_they_were_due() -> None:
    run = simulate(num_requests=500)
    found = timeline(run)
    assert found is not None
    assert found.at_s is not None
    assert found.latency_ms is not None
    assert np.allclose(found.at_s, (run.due_ns - run.window_ns[0]) / 1e9)
    assert np.array_equal(found.latency_ms, run.latency_ms)


def test_of_many_only_slices_are_kept() -> None:
    found = timeline(simulate(num_requests=MAX_POINTS + 1, has_telemetry=False))
    assert found is not None
    assert found.at_s is None
    assert found.latency_ms is None
    assert len(found.p50_ms.values) == MAX_SLICES
    assert found.p99_ms is not None
    assert len(found.p99_ms.values) == MAX_POINTS // 1000


def test_the_figures_of_a_slice_are_those_of_the_requests_that_were_due_in_it() -> None:
    run = simulate(num_requests=40_000, has_telemetry=False)
    found = timeline(run)
    assert found is not None
    assert found.p99_ms is not None
    due_s = (run.due_ns - run.window_ns[0]) / 1e9
    for slices, percent in ((found.p50_ms, 50), (found.p99_ms, 99), (found.slowest_ms, 100)):
        width_s = run.seconds / len(slices.values)
        for at in (0, len(slices.values) // 2):
            inside = np.abs(due_s - slices.middles_s[at]) <= width_s / 2
            expected = np.percentile(run.latency_ms[inside], percent, method="inverted_cdf")
            assert slices.values[at] == expected


def test_a_slice_with_too_few_requests_has_no_p99() -> None:
    arrivals_s = np.concatenate([np.arange(1500) * 0.01, 15 + np.arange(500) * 0.03])
    found = timeline(single_server_run(arrivals_s, np.full(2000, 0.001)))
    assert found is not None
    assert found.p99_ms is not None
    assert np.isnan(found.p99_ms.values).tolist() == [False, True]


def test_the_rates_add_up_to_all_requests() -> None:
    run = simulate(num_requests=3_000)
    found = timeline(run)
    assert found is not None
    assert found.offered_per_s is not None
    for rates in (found.offered_per_s, found.served_per_s):
        width_s = run.seconds / len(rates.values)
        assert rates.values.sum() * width_s == pytest.approx(3_000)


def test_where_all_came_at_once_requests_stand_where_they_ended() -> None:
    found = timeline(single_server_run(np.zeros(50), np.full(50, 0.1)))
    assert found is not None
    assert found.is_by_end
    assert found.offered_per_s is None
    assert found.at_s is not None
    assert np.allclose(found.at_s, 0.1 * np.arange(1, 51))


def test_a_run_in_which_nothing_finished_has_none() -> None:
    run = simulate(num_requests=10)
    run.requests["status"][:] = "unfinished"
    assert timeline(run) is None


def test_a_million_requests_take_seconds() -> None:
    run = simulate(num_requests=1_000_000, has_telemetry=False)
    start = time.process_time()
    assert timeline(run) is not None
    assert time.process_time() - start < 8  # 1 s where nothing else runs
