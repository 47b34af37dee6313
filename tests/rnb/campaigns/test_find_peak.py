"""The search for the peak, on runs that are only simulated: of a pipeline, and of queues theory knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnb.campaigns.campaign import Campaign, RunFailed
from rnb.campaigns.early_end import EarlyEnd
from rnb.campaigns.find_peak import bulk_rate_per_s, check_number_of_requests, peak_search
from rnb.campaigns.outcome import Outcome
from rnb.campaigns.peak_search import RESOLUTION, PeakSearch
from rnb.campaigns.whole_search import WholeSearch
from rnb.contract.termination import Termination, UsageError
from rnb.spec import RunSpec
from tests.support.played import NOTHING, spec_for
from tests.support.simulated_campaigns import MOST_PER_S, SimulatedPlayer
from tests.support.simulated_queues import Queue, player_of


def searching(folder: Path, *, slo: float = 60, **load: Any) -> RunSpec:
    spec = spec_for(folder, [NOTHING], **{"videos": 2000, "mean_interval_ms": 20, **load})
    return spec.with_limits(slo=slo, percentile=99, min_duration=0)


def search(spec: RunSpec, player: SimulatedPlayer, logs: Path) -> PeakSearch | WholeSearch:
    found = peak_search(Campaign(spec, logs, "peak", player), lambda probe: None)
    found.run(1e3 / (spec.load.mean_interval_ms or 1))
    return found


def test_the_peak_of_a_simulated_pipeline(tmp_path: Path) -> None:
    found = search(searching(tmp_path), SimulatedPlayer(), tmp_path)
    peak = found.peak()
    assert peak.low_per_s
    assert peak.high_per_s
    assert 150 < peak.low_per_s < peak.high_per_s < MOST_PER_S
    last = found.probes[-1]
    assert last.percentile_ms
    assert last.goodput_per_s
    assert last.num_requests == 2000
    assert last.seconds == pytest.approx(2400 / last.rate_per_s, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bound_ms"), [("M/M/1", 100), ("M/M/1", 200), ("M/D/1", 50), ("M/D/1", 100), ("M/M/2", 200)]
)
def test_the_range_holds_what_theory_says(tmp_path: Path, name: str, bound_ms: float) -> None:
    """benchmarks/peak_coverage.py has more seeds and cases."""
    queue, held, seconds = Queue(name=name), 0, []
    true_per_s = queue.peak_per_s(bound_ms / 1e3)
    for seed in range(8):
        spec = searching(tmp_path, slo=bound_ms, seed=1000 * seed)
        campaign = Campaign(spec, tmp_path, "peak", player_of(queue, seed))
        found = peak_search(campaign, lambda probe: None)
        found.run(bulk_rate_per_s(campaign) / 2)
        peak = found.peak()
        held += (peak.low_per_s or 0) <= true_per_s <= (peak.high_per_s or 0)
        seconds.append(sum(probe.seconds for probe in found.probes))
    assert held >= 6
    assert max(seconds) * true_per_s / 100 <= 480  # at 100 requests/s


def test_probes_have_rates_and_seeds_of_their_own(tmp_path: Path) -> None:
    player, spec = SimulatedPlayer(), searching(tmp_path, seed=3)
    found = search(spec, player, tmp_path)
    assert [one.load.seed for one in player.specs] == list(range(3, 3 + len(found.probes)))
    assert [probe.asked_per_s for probe in found.probes] == [
        1e3 / (one.load.mean_interval_ms or 0) for one in player.specs
    ]
    assert {one.load.videos for one in player.specs} == {1000, 2000}
    assert all(one.load.warmup == (one.load.videos or 0) // 5 for one in player.specs)


def test_the_rate_is_the_one_that_was_offered(tmp_path: Path) -> None:
    found = search(searching(tmp_path), SimulatedPlayer(), tmp_path)
    played = [probe for probe in found.probes if "ended early" not in probe.outcome]
    assert all(probe.rate_per_s == pytest.approx(probe.asked_per_s, rel=0.15) for probe in played)
    assert sum(probe.rate_per_s != probe.asked_per_s for probe in played) >= len(played) - 1


def test_what_it_begins_with(tmp_path: Path) -> None:
    player = SimulatedPlayer()
    campaign = Campaign(searching(tmp_path, videos=None, duration=30), tmp_path, "peak", player)
    assert bulk_rate_per_s(campaign) == pytest.approx(MOST_PER_S, rel=0.1)
    (bulk,) = player.specs
    assert (bulk.load.mean_interval_ms, bulk.load.videos, bulk.load.duration) == (0, 500, None)
    assert (bulk.limits.slo, bulk.limits.percentile) == (None, None)


def test_a_full_queue_fails_and_says_so(tmp_path: Path) -> None:
    found = search(searching(tmp_path, mean_interval_ms=1.5), SimulatedPlayer(), tmp_path)
    assert found.probes[0].verdict == "fails"
    assert "queue full" in found.probes[0].outcome
    assert found.peak().low_per_s


def test_a_probe_that_cannot_pass_ends_early(tmp_path: Path) -> None:
    found = search(searching(tmp_path, mean_interval_ms=2.5), SimulatedPlayer(), tmp_path)
    first = found.probes[0]  # 400 requests/s, for a pipeline that takes 250
    assert first.verdict == "fails"
    assert "ended early" in first.outcome
    assert first.seconds < 1


def test_a_late_client_is_marked(tmp_path: Path) -> None:
    found = search(searching(tmp_path), SimulatedPlayer(late_from_per_s=80), tmp_path)
    late = [probe for probe in found.probes if probe.is_client_late]
    assert late
    assert {probe.verdict for probe in late} == {"fails"}


def test_a_run_that_fails_ends_the_search_and_leaves_what_is_known(tmp_path: Path) -> None:
    spec, player = searching(tmp_path), SimulatedPlayer(fails_at=4)
    found = peak_search(Campaign(spec, tmp_path, "peak", player), lambda probe: None)
    with pytest.raises(RunFailed, match=r"^the run in .*run4 failed: step 1.0 was killed by SIGKILL$"):
        found.run(50.0)
    assert [probe.asked_per_s for probe in found.probes] == [50, 100, 200]
    assert found.peak().low_per_s


def test_being_too_short_alone_does_not_fail_a_probe(tmp_path: Path) -> None:
    found = search(searching(tmp_path).with_limits(min_duration=600), SimulatedPlayer(), tmp_path)
    assert found.probes[0].outcome == "passes: 0.00% over the bound"


def test_too_few_requests_for_the_percentile(tmp_path: Path) -> None:
    check_number_of_requests(searching(tmp_path, videos=459))
    with pytest.raises(UsageError, match=r"-v 458: --find-peak needs at least 459 requests to show that p99"):
        check_number_of_requests(searching(tmp_path, videos=458))
    spec = searching(tmp_path, slo=900, videos=None, duration=5)
    check_number_of_requests(spec)  # that depends on the rate
    with pytest.raises(UsageError, match=r"--duration 5 at 50 requests/s: --find-peak needs at least 459"):
        search(spec, SimulatedPlayer(), tmp_path)


def test_slower_probes_last_as_long_as_they_need(tmp_path: Path) -> None:
    spec = searching(tmp_path, videos=None, duration=1.0, mean_interval_ms=1e3 / 480)
    found = search(spec, SimulatedPlayer(), tmp_path)
    slow = [probe for probe in found.probes if probe.asked_per_s < 400]
    assert len(slow) > 1
    assert all(probe.num_requests > 400 for probe in slow)
    assert found.peak().low_per_s


def test_a_narrow_range_needs_no_more_probes(tmp_path: Path) -> None:
    margin = search(searching(tmp_path, videos=6000), SimulatedPlayer(), tmp_path).peak().margin
    assert margin
    assert margin <= RESOLUTION


def streaming(folder: Path, num: int, **load: Any) -> RunSpec:
    """Streams of 10 requests a second each."""
    load = {"streams": num, "fps": 20, "every": 2, "mean_interval_ms": 100 / num, **load}
    return searching(folder, slo=200, **load)


def test_more_streams_than_a_pipeline_can_start_with_are_too_many(tmp_path: Path) -> None:
    player = SimulatedPlayer(fails_from=11)
    found = search(streaming(tmp_path, 2), player, tmp_path)
    assert [spec.load.streams for spec in player.specs] == [2, 4, 8, 16, 11, 9, 10]
    peak = found.peak()
    assert (peak.low_per_s, peak.high_per_s) == (100, 110)
    failed = [probe for probe in found.probes if "failed" in probe.outcome]
    assert [probe.outcome for probe in failed] == [
        "fails: the run failed: step 0.0: OutOfMemoryError: no session for a stream"
    ] * 2
    assert [probe.folder and probe.folder.name for probe in failed] == ["run4", "run5"]


def test_the_first_probe_of_streams_has_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        RunFailed, match=r"^the run in .*run1 failed: step 0.0: OutOfMemoryError: no session for a stream$"
    ):
        search(streaming(tmp_path, 2), SimulatedPlayer(fails_from=2), tmp_path)


def test_a_run_of_fewer_streams_than_ran_has_not_too_many(tmp_path: Path) -> None:
    player = SimulatedPlayer(fails_at=2)
    with pytest.raises(RunFailed, match=r"^the run in .*run2 failed: step 1.0 was killed by SIGKILL$"):
        search(streaming(tmp_path, 64), player, tmp_path)  # more than it takes, so there are fewer
    assert [spec.load.streams for spec in player.specs] == [64, 32]


def test_ctrl_c_in_a_probe_of_streams_ends_the_search(tmp_path: Path) -> None:
    simulated = SimulatedPlayer(fails_from=4)

    def player(spec: RunSpec, logs: Path, ending: EarlyEnd | None = None) -> Outcome:
        outcome = simulated(spec, logs, ending)
        if len(simulated.specs) == 2:
            outcome.run.meta.termination_flag = Termination.INTERRUPTED
        return outcome

    found = peak_search(Campaign(streaming(tmp_path, 2), tmp_path, "peak", player), lambda probe: None)
    with pytest.raises(
        RunFailed, match=r"^the run in .*run2 failed: step 0.0: OutOfMemoryError: no session for a stream$"
    ):
        found.run(20.0)
    assert len(found.probes) == 1


def test_streams_of_several_clients_are_equally_many(tmp_path: Path) -> None:
    player = SimulatedPlayer(fails_from=9)
    found = search(streaming(tmp_path, 3, clients=3), player, tmp_path)
    assert [spec.load.streams for spec in player.specs] == [3, 6, 12, 9]
    assert (found.peak().low_per_s, found.peak().high_per_s) == (60, 90)
