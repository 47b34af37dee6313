"""The search for the peak, against queues whose limit is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from rnb.campaigns.peak_search import (
    FAILS,
    MAX_DOUBLINGS,
    MAX_HALVINGS,
    MAX_PROBES,
    MOST_LOAD,
    PASSES,
    RESOLUTION,
    UNDECIDED,
    PeakSearch,
    ProbeResult,
)

SERVICES_PER_S, BOUND_MS, SHARE = 200.0, 100.0, 0.01
PEAK_PER_S = SERVICES_PER_S - 1e3 * math.log(100) / BOUND_MS
"""M/M/1: latency is exponential with the rate of the services less that of the arrivals."""
Share = Callable[[float], float]


def mm1_share(rate_per_s: float) -> float:
    """Of the requests that are over the bound."""
    return min(1.0, math.exp(-(SERVICES_PER_S - rate_per_s) * BOUND_MS / 1e3))


class Responder:
    """Answers probes: a Poisson number of groups of requests over the bound."""

    def __init__(
        self, share: Share = mm1_share, *, group: int = 5, seed: int = 0, slowness: float = 1.0
    ) -> None:
        self._slowness = slowness
        self._share, self._group, self._random = share, group, np.random.default_rng(seed)
        self.asked: list[tuple[float, bool]] = []

    def __call__(self, rate_per_s: float, is_short: bool) -> ProbeResult:
        self.asked.append((rate_per_s, is_short))
        num_requests = 1000 if is_short else 2000
        expected = num_requests * self._share(rate_per_s) / self._group
        num_over = min(self._group * int(self._random.poisson(expected)), num_requests // 10)
        share = num_over / num_requests
        verdict = PASSES if share < SHARE / 3 else FAILS if share > 3 * SHARE else UNDECIDED
        return ProbeResult(
            asked_per_s=rate_per_s,
            rate_per_s=rate_per_s,
            verdict=verdict,
            outcome=verdict,
            num_requests=num_requests,
            num_over=num_over,
            seconds=self._slowness * num_requests / rate_per_s,
        )


def searched(responder: Responder, start_per_s: float) -> PeakSearch:
    search = PeakSearch(responder, share=SHARE)
    search.run(start_per_s)
    return search


@pytest.mark.parametrize("start_per_s", [10.0, 100.0, 154.0, 200.0, 1000.0])
def test_the_range_holds_the_limit(start_per_s: float) -> None:
    held = []
    for seed in range(40):
        peak = searched(Responder(seed=seed), start_per_s).peak()
        assert peak.low_per_s
        assert peak.high_per_s
        assert peak.best_per_s
        assert peak.low_per_s < peak.best_per_s < peak.high_per_s
        held.append(peak.low_per_s <= PEAK_PER_S <= peak.high_per_s)
    assert sum(held) >= 35


def test_it_doubles_then_bisects_with_short_probes_and_then_stays_near() -> None:
    responder = Responder()
    search = searched(responder, 30.0)
    short = [rate for rate, is_short in responder.asked if is_short]
    assert short[:4] == pytest.approx([30, 60, 120, 240])
    assert short[4] == pytest.approx(120 * 2**0.5)
    long = [rate for rate, is_short in responder.asked if not is_short]
    assert len(long) >= 6
    assert all(abs(math.log(rate / PEAK_PER_S)) < 0.3 for rate in long)
    assert len(search.probes) == len(responder.asked)


def test_it_ends_when_the_peak_is_known() -> None:
    search = searched(Responder(group=1), 100.0)
    margin = search.peak().margin
    assert margin
    assert margin <= RESOLUTION
    assert len(search.probes) < MAX_PROBES


def test_it_ends_after_so_many_probes_and_says_how_far_it_got() -> None:
    search = searched(Responder(group=60), 100.0)
    assert len(search.probes) == MAX_PROBES
    margin = search.peak().margin
    assert margin
    assert margin > RESOLUTION


def test_it_ends_after_so_much_load() -> None:
    """Probes that take twice as long as they should."""
    responder = Responder(group=60, slowness=2.0)
    search = searched(responder, 100.0)
    long = [
        probe for probe, (_, is_short) in zip(search.probes, responder.asked, strict=True) if not is_short
    ]
    assert len(search.probes) < MAX_PROBES
    assert len(long) == pytest.approx(MOST_LOAD / 2, abs=2)


def test_what_is_known_when_a_probe_ends_the_search() -> None:
    responder = Responder()

    def interrupted_after(count: int) -> PeakSearch:
        def probe(rate_per_s: float, is_short: bool) -> ProbeResult:
            if len(search.probes) == count:
                raise KeyboardInterrupt
            return responder(rate_per_s, is_short)

        search = PeakSearch(probe, share=SHARE)
        with pytest.raises(KeyboardInterrupt):
            search.run(30.0)
        return search

    assert vars(interrupted_after(0).peak()) == {"low_per_s": None, "high_per_s": None, "best_per_s": None}
    early = interrupted_after(4).peak()
    assert (early.low_per_s, early.high_per_s, early.best_per_s) == (120.0, 240.0, None)
    assert interrupted_after(11).peak().best_per_s


def test_a_bound_that_no_rate_meets() -> None:
    responder = Responder(lambda _: 1.0)
    search = searched(responder, 16.0)
    assert [rate for rate, _ in responder.asked] == [16.0, 8.0, 4.0, 2.0, 1.0]
    assert len(responder.asked) == 1 + MAX_HALVINGS
    assert (search.peak().low_per_s, search.peak().high_per_s) == (None, 1.0)


def test_a_pipeline_without_a_limit() -> None:
    search = searched(Responder(lambda _: 0.0), 1.0)
    assert (search.peak().low_per_s, search.peak().high_per_s) == (2.0**MAX_DOUBLINGS, None)
