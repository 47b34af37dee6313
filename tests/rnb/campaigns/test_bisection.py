"""The search for the peak, against queues whose limit is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rnb.campaigns.bisection import MAX_DOUBLINGS, MAX_HALVINGS, ProbeResult, search_peak

SERVICES_PER_S, BOUND_MS = 200.0, 100.0
PEAK_PER_S = SERVICES_PER_S - 1e3 * math.log(100) / BOUND_MS
"""M/M/1: latency is exponential with the rate of the services less that of the arrivals."""


class Responder:
    """Answers probes, and remembers the rates."""

    def __init__(self, percentile_ms: Callable[[float], float]) -> None:
        self.percentile_ms, self.rates = percentile_ms, list[float]()

    def __call__(self, rate_per_s: float) -> ProbeResult:
        self.rates.append(rate_per_s)
        passes = self.percentile_ms(rate_per_s) <= BOUND_MS
        return ProbeResult(rate_per_s=rate_per_s, passes=passes, outcome="")


def mm1_p99_ms(rate_per_s: float) -> float:
    spare_per_s = SERVICES_PER_S - rate_per_s
    return 1e3 * math.log(100) / spare_per_s if spare_per_s > 0 else math.inf


@pytest.mark.parametrize("start_per_s", [1.0, 10.0, 100.0, 154.0, 200.0, 1000.0])
@pytest.mark.parametrize("resolution", [0.03, 0.005])
def test_the_limit_of_a_queue(start_per_s: float, resolution: float) -> None:
    responder = Responder(mm1_p99_ms)
    peak = search_peak(responder, start_per_s=start_per_s, resolution=resolution)
    assert peak.passing
    assert peak.failing
    assert peak.passing.rate_per_s <= PEAK_PER_S < peak.failing.rate_per_s
    assert peak.failing.rate_per_s / peak.passing.rate_per_s <= 1 + resolution
    assert sorted(responder.rates) == sorted([*set(responder.rates), peak.failing.rate_per_s])


def test_it_doubles_then_bisects() -> None:
    responder = Responder(mm1_p99_ms)
    search_peak(responder, start_per_s=30.0, resolution=0.2)
    last = 120 * 2**0.5  # fails, and is tried again at the end
    assert responder.rates == pytest.approx([30, 60, 120, 240, last, 120 * 2**0.25, last])


def test_the_same_draws_make_a_simulated_queue_answer_steadily() -> None:
    """A single server in simulation: the schedule and the services are drawn once, the schedule is scaled."""
    random = np.random.default_rng(0)
    gaps, services = random.exponential(1, 20_000), random.exponential(1 / SERVICES_PER_S, 20_000)

    def p99_ms(rate_per_s: float) -> float:
        arrivals, done = np.cumsum(gaps) / rate_per_s, np.cumsum(services)
        finishes = done + np.maximum.accumulate(arrivals - (done - services))
        return 1e3 * float(np.percentile(finishes - arrivals, 99))

    peak = search_peak(Responder(p99_ms), start_per_s=10.0)
    assert peak.passing
    assert peak.passing.rate_per_s == pytest.approx(PEAK_PER_S, rel=0.1)


@pytest.mark.parametrize("disturbed", range(1, 11))
def test_a_probe_that_something_else_disturbs_does_not_lower_the_peak(disturbed: int) -> None:
    undisturbed = Responder(mm1_p99_ms)
    expected = search_peak(undisturbed, start_per_s=10.0).passing
    responder = Responder(lambda rate: math.inf if len(responder.rates) == disturbed else mm1_p99_ms(rate))
    peak = search_peak(responder, start_per_s=10.0)
    assert peak.passing
    assert expected
    assert peak.passing.rate_per_s == pytest.approx(expected.rate_per_s, rel=0.03)


def test_a_bound_that_no_rate_meets() -> None:
    responder = Responder(lambda _: math.inf)
    peak = search_peak(responder, start_per_s=16.0)
    assert peak.passing is None
    assert responder.rates == [16.0, 8.0, 4.0, 2.0, 1.0]
    assert len(responder.rates) == 1 + MAX_HALVINGS


def test_a_pipeline_without_a_limit() -> None:
    responder = Responder(lambda _: 1.0)
    peak = search_peak(responder, start_per_s=1.0)
    assert peak.failing is None
    assert peak.passing
    assert peak.passing.rate_per_s == 2.0**MAX_DOUBLINGS
