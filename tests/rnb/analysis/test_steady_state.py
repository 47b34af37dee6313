"""Steady runs are found steady, runs that change are not, and a slow start is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.examination import ARRIVALS, IN_SYSTEM, THROUGHPUT
from rnb.analysis.steady_state import MIN_REQUESTS, find_steady_state, is_bulk, num_transient
from rnb.contract.events import DUE
from rnb.record.run import Run
from tests.support.single_server import single_server_run

NUM_SEEDS = 60


def run_of(rate: float | Callable[[Any], Any], num_requests: int = 3000, seed: int = 0) -> Run:
    """Poisson arrivals, at a rate that may depend on the share of requests before; services of 1 s."""
    random = np.random.default_rng(seed)
    share = np.arange(num_requests) / num_requests
    rates = rate(share) if callable(rate) else rate
    arrivals = np.cumsum(random.exponential(1, num_requests) / rates)
    return single_server_run(arrivals, random.exponential(1, num_requests))


def share_found_steady(run_of_seed: Callable[[int], Run]) -> float:
    return float(
        np.mean([find_steady_state(run_of_seed(seed)).is_steady is True for seed in range(NUM_SEEDS)])
    )


@pytest.mark.parametrize(("load", "num_requests"), [(0.3, 3000), (0.5, 3000), (0.8, 3000), (0.9, 3000)])
def test_a_steady_run_is_found_steady(load: float, num_requests: int) -> None:
    assert share_found_steady(lambda seed: run_of(load, num_requests, seed)) >= 0.93


@pytest.mark.parametrize("load", [0.3, 0.8, 0.95])
@pytest.mark.parametrize("num_requests", [300, 2000])
def test_a_steady_run_is_never_called_unsteady(load: float, num_requests: int) -> None:
    """Rather it is not told, and how many requests would."""
    found = [find_steady_state(run_of(load, num_requests, seed)) for seed in range(NUM_SEEDS)]
    assert np.mean([one.is_steady is False for one in found]) <= 0.05
    assert all(one.reason for one in found if one.is_steady is None)
    needed = [one.num_needed for one in found if one.num_needed]
    assert not needed or np.median(needed) > num_requests


def test_even_services_are_told_of_few_requests() -> None:
    def run(seed: int) -> Run:
        arrivals = np.cumsum(np.random.default_rng(seed).exponential(2, 300))
        return single_server_run(arrivals, np.ones(300))

    assert share_found_steady(run) >= 0.95


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("num_requests", "is_told"), [(300, False), (2000, True)])
def test_a_service_that_takes_longer_from_half_time_on(load: float, num_requests: int, is_told: bool) -> None:
    """1.3 times as long; the throughput does not show it, and the queues hardly."""

    def run(seed: int) -> Run:
        random = np.random.default_rng(seed)
        services = random.exponential(1, num_requests)
        services[num_requests // 2 :] *= 1.3
        return single_server_run(np.cumsum(random.exponential(1 / load, num_requests)), services)

    found = [find_steady_state(run(seed)).is_steady for seed in range(NUM_SEEDS)]
    assert found.count(True) <= 0.05 * NUM_SEEDS
    if is_told:
        assert found.count(False) >= 0.9 * NUM_SEEDS


def test_a_stall_of_two_percent_of_the_time_is_not_steady() -> None:
    def run(seed: int, at: int) -> Run:
        random = np.random.default_rng(seed)
        services = random.exponential(1, 2000)
        services[at] += 80
        return single_server_run(np.cumsum(random.exponential(2, 2000)), services)

    for at in (500, 1000, 1900):  # none is cut off as a start that was cold
        found = [find_steady_state(run(seed, at)) for seed in range(NUM_SEEDS // 3)]
        assert np.mean([one.is_steady is False for one in found]) >= 0.95
    at_start = find_steady_state(run(0, 1))
    assert at_start.is_cut
    assert at_start.is_steady


@pytest.mark.parametrize(
    "rate",
    [
        pytest.param(1.2, id="overload"),
        pytest.param(lambda share: 0.4 + 0.4 * share, id="ramp"),
        pytest.param(lambda share: np.where(share < 0.7, 0.4, 0.7), id="shift up"),
        pytest.param(lambda share: np.where(share < 0.7, 0.7, 0.4), id="shift down"),
    ],
)
def test_a_run_that_changes_is_not(rate: Callable[[Any], Any]) -> None:
    assert share_found_steady(lambda seed: run_of(rate, seed=seed)) <= 0.05


def test_a_steady_run_is_steady_from_the_start_to_the_last_arrival() -> None:
    run = run_of(0.5)
    found = find_steady_state(run)
    last_arrival_s = (int(run.times[DUE][-1]) - run.window_ns[0]) / 1e9
    assert (found.is_steady, found.start_s, found.end_s, found.reason) == (True, 0, last_arrival_s, "")
    assert {(change.series, change.kind) for change in found.changes} == {
        (series, kind)
        for series in (ARRIVALS, "service of step 0", IN_SYSTEM)
        for kind in ("trend", "level shift")
    }


def test_a_slow_start_is_left_out() -> None:
    """At first the service takes 1.6 s, and a queue builds up that then drains."""
    random = np.random.default_rng(0)
    arrivals = np.cumsum(random.exponential(1, 5000) / 0.6)
    services = random.exponential(1, 5000) * np.where(np.arange(5000) < 500, 2.5, 1.0)
    found = find_steady_state(single_server_run(arrivals, services))
    assert found.is_steady
    assert found.start_s is not None
    assert 500 / 0.6 < found.start_s < 5000 / 0.6 / 3


def test_the_reason_says_what_changed_and_where() -> None:
    found = find_steady_state(run_of(lambda share: np.where(share < 0.7, 0.3, 0.6)))
    shift = next(
        change for change in found.changes if change.series == ARRIVALS and change.kind == "level shift"
    )
    assert shift.is_found
    assert shift.change == pytest.approx(0.3 / 0.357, rel=0.25)  # of the mean over the tested part
    assert shift.at_s == pytest.approx(0.7 * 3000 / 0.3, rel=0.1)
    assert "arrivals: level shift of +" in found.reason


def test_the_latency_is_not_looked_at() -> None:
    """Only a client that is later shows in it."""
    run = single_server_run(np.arange(4000.0), np.full(4000, 0.2))
    later_ns = np.repeat([0, 300_000_000], 2000)
    for event in run.events[1:]:
        run.times[event] = run.times[event] + later_ns
    assert find_steady_state(run).is_steady


def bulk_run(services: NDArray[np.float64]) -> Run:
    return single_server_run(np.zeros(len(services)), services)


def test_of_a_bulk_run_only_throughput_is_tested_until_the_last_request_is_taken() -> None:
    services = np.random.default_rng(0).gamma(4, 0.25, 1000)
    run = bulk_run(services)
    found = find_steady_state(run)
    assert is_bulk(run)
    assert found.is_steady
    assert {change.series for change in found.changes} == {THROUGHPUT}
    assert found.start_s == pytest.approx(services[0])
    assert found.end_s == pytest.approx(services[:-1].sum())


def test_a_bulk_run_that_gets_slower_is_not_steady() -> None:
    services = np.random.default_rng(0).gamma(4, 0.25, 1000) * np.where(np.arange(1000) < 600, 1.0, 1.5)
    found = find_steady_state(bulk_run(services))
    assert found.is_steady is False
    assert "throughput: " in found.reason


def test_requests_at_a_rate_are_no_bulk() -> None:
    assert not is_bulk(run_of(0.5))
    assert not is_bulk(run_of(1.5))


def test_warm_up_requests_are_in_the_flow_but_before_the_phase() -> None:
    """Without them the first spans would lack the requests that finish there."""
    run = run_of(0.5, 3000)
    run.requests["is_warmup"] = np.arange(3000) < 500
    found = find_steady_state(run)
    assert (found.is_steady, found.start_s) == (True, 0)


@pytest.mark.parametrize("count", [0, 1, 2, MIN_REQUESTS - 1])
def test_too_few_requests_to_tell(count: int) -> None:
    found = find_steady_state(
        single_server_run(np.arange(float(count)), np.full(count, 0.5)) if count else nothing()
    )
    assert (found.is_steady, found.start_s, found.is_cut, found.num_needed) == (
        None,
        None,
        False,
        MIN_REQUESTS,
    )
    assert found.reason == (
        f"{max(0, count - 1)} requests finished while it could be steady, the test needs {MIN_REQUESTS}"
    )


def nothing() -> Run:
    run = run_of(0.5, 10)
    run.requests["status"][:] = "unfinished"
    return run


def test_a_run_that_never_started() -> None:
    run = nothing()
    run.meta.end_epoch_ns = run.start_ns
    assert find_steady_state(run).is_steady is None


def test_mser_leaves_out_the_transient() -> None:
    values = np.concatenate([np.linspace(10, 1, 9), np.ones(31)])
    assert num_transient(values + np.random.default_rng(0).normal(0, 0.1, 40)) in range(8, 14)
    assert num_transient(np.linspace(0, 1, 40)) <= 13
