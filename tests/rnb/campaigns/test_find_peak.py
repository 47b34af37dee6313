"""The search for the peak, on runs that are only simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.bisection import Peak, ProbeResult
from rnb.campaigns.campaign import Campaign, RunFailed
from rnb.campaigns.find_peak import bulk_rate_per_s, check_number_of_requests, find_peak
from rnb.contract.termination import UsageError
from rnb.spec import RunSpec
from tests.support.played import NOTHING, spec_for
from tests.support.simulated_campaigns import MOST_PER_S, SimulatedPlayer


def searching(folder: Path, *, slo: float = 60, **load: Any) -> RunSpec:
    spec = spec_for(folder, [NOTHING], **{"videos": 4000, "mean_interval_ms": 20, **load})
    return spec.with_limits(slo=slo, percentile=99, min_duration=0)


def search(spec: RunSpec, player: SimulatedPlayer, logs: Path) -> tuple[Peak, list[ProbeResult]]:
    probes: list[ProbeResult] = []
    campaign = Campaign(spec, logs, "peak", player)
    return find_peak(campaign, 1e3 / (spec.load.mean_interval_ms or 1), probes.append), probes


def test_the_peak_of_a_simulated_pipeline(tmp_path: Path) -> None:
    player = SimulatedPlayer()
    peak, probes = search(searching(tmp_path), player, tmp_path)
    assert peak.passing in probes
    assert peak.failing in probes
    assert peak.passing
    assert peak.failing
    assert 110 < peak.passing.rate_per_s < peak.failing.rate_per_s < MOST_PER_S
    assert peak.failing.rate_per_s / peak.passing.rate_per_s <= 1.03
    assert peak.passing.percentile_ms
    assert peak.failing.percentile_ms
    assert peak.passing.percentile_ms < min(60, peak.failing.percentile_ms)
    assert peak.passing.goodput_per_s
    assert peak.passing.num_requests == 4000
    assert peak.passing.seconds == pytest.approx(4000 / peak.passing.rate_per_s, rel=0.1)


def test_probes_differ_in_their_rate_alone(tmp_path: Path) -> None:
    player, spec = SimulatedPlayer(), searching(tmp_path, seed=3)
    _, probes = search(spec, player, tmp_path)
    intervals_ms = [found.load.mean_interval_ms for found in player.specs]
    assert [spec.with_load(mean_interval_ms=interval_ms) for interval_ms in intervals_ms] == player.specs
    assert [probe.rate_per_s for probe in probes] == [
        1e3 / (interval_ms or 0) for interval_ms in intervals_ms
    ]


def test_what_it_begins_with(tmp_path: Path) -> None:
    player = SimulatedPlayer()
    campaign = Campaign(searching(tmp_path, videos=None, duration=30), tmp_path, "peak", player)
    assert bulk_rate_per_s(campaign) == pytest.approx(MOST_PER_S, rel=0.1)
    (bulk,) = player.specs
    assert (bulk.load.mean_interval_ms, bulk.load.videos, bulk.load.duration) == (0, 500, None)
    assert (bulk.limits.slo, bulk.limits.percentile) == (None, None)


def test_a_full_queue_fails_and_says_so(tmp_path: Path) -> None:
    peak, probes = search(searching(tmp_path, mean_interval_ms=1.5), SimulatedPlayer(), tmp_path)
    assert not probes[0].passes
    assert "queue full" in probes[0].outcome
    assert peak.passing


def test_a_late_client_is_marked(tmp_path: Path) -> None:
    peak, _ = search(searching(tmp_path), SimulatedPlayer(late_from_per_s=80), tmp_path)
    assert peak.failing
    assert peak.failing.is_client_late


def test_a_run_that_fails_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"^the run in .*run3 failed$"):
        search(searching(tmp_path), SimulatedPlayer(fails_at=3), tmp_path)


def test_being_too_short_alone_does_not_fail_a_probe(tmp_path: Path) -> None:
    _, probes = search(searching(tmp_path).with_limits(min_duration=600), SimulatedPlayer(), tmp_path)
    assert probes[0].outcome == "passes"


def test_too_few_requests_for_the_percentile(tmp_path: Path) -> None:
    check_number_of_requests(searching(tmp_path, videos=459))
    with pytest.raises(UsageError, match=r"-v 458: --find-peak needs at least 459 requests to show that p99"):
        check_number_of_requests(searching(tmp_path, videos=458))
    spec = searching(tmp_path, slo=900, videos=None, duration=5)
    check_number_of_requests(spec)  # that depends on the rate
    with pytest.raises(UsageError, match=r"--duration 5: too short at 50 requests/s: 250 requests, and p99"):
        search(spec, SimulatedPlayer(), tmp_path)
