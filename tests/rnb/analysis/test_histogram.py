"""The bins of a histogram."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.histogram import MIN_BINS, common_bins, histogram
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def test_each_request_is_in_the_bin_of_its_latency() -> None:
    run = simulate(num_requests=5_000)
    found = histogram(run)
    assert found is not None
    (bins,) = common_bins([found])
    expected, _ = np.histogram(run.latency_ms, bins.edges_ms)
    assert np.abs(bins.counts - expected).sum() <= 2  # at an edge it may round either way
    assert bins.counts.sum() == 5_000
    assert MIN_BINS <= len(bins.counts) <= 3 * MIN_BINS


def test_bins_are_equally_wide_on_a_logarithmic_axis() -> None:
    found = histogram(simulate(num_requests=5_000))
    assert found is not None
    (bins,) = common_bins([found])
    ratios = bins.edges_ms[1:] / bins.edges_ms[:-1]
    assert np.allclose(ratios, ratios[0])


@pytest.mark.parametrize("spread", [1.5, 10, 1e4])
def test_a_narrow_and_a_wide_distribution_both_have_a_shape(spread: float) -> None:
    services_s = np.geomspace(0.001, 0.001 * spread, 2_000)
    found = histogram(single_server_run(20 * np.arange(2_000.0), services_s))
    assert found is not None
    (bins,) = common_bins([found])
    assert MIN_BINS <= np.count_nonzero(bins.counts) <= 60


def test_runs_share_their_bins() -> None:
    known = [histogram(simulate(speed=speed, num_requests=3_000)) for speed in (1.0, 3.0)]
    slow, fast = common_bins([one for one in known if one])
    assert np.array_equal(slow.edges_ms, fast.edges_ms)
    assert slow.counts.sum() == fast.counts.sum() == 3_000
    assert np.average(slow.edges_ms[1:], weights=slow.counts) > np.average(
        fast.edges_ms[1:], weights=fast.counts
    )


def test_a_run_in_which_nothing_finished_has_none() -> None:
    run = simulate(num_requests=10)
    run.requests["status"][:] = "unfinished"
    assert histogram(run) is None
