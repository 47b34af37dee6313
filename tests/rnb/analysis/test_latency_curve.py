"""The distribution of the latency, and where the time went in its parts."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.latency_curve import latency_curve
from rnb.contract.events import DUE, Event, EventKind
from rnb.record.run import Run
from tests.support.simulated_runs import simulate
from tests.support.stages import by_title


def latencies_ms(run: Run) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.sort((run.times[Event(EventKind.FINISHED, 1)] - run.times[DUE]) / 1e6)


def test_the_curve_is_the_distribution() -> None:
    run = simulate(num_requests=1000)
    curve = latency_curve(run)
    assert curve is not None
    ordered = latencies_ms(run)
    for share, latency in zip(curve.shares, curve.latencies_ms, strict=True):
        assert np.count_nonzero(ordered <= latency) >= share * 1000 - 1e-6
        assert np.count_nonzero(ordered < latency) < max(1, share * 1000)
    assert curve.latencies_ms[0] == ordered[0]
    assert curve.latencies_ms[-1] == ordered[989]


@pytest.mark.parametrize(
    ("num_requests", "num_nines"), [(10, 1), (661, 1), (662, 2), (6635, 2), (6636, 3), (100_000, 4)]
)
def test_the_tail_ends_where_requests_do(num_requests: int, num_nines: int) -> None:
    curve = latency_curve(simulate(num_requests=num_requests))
    assert curve is not None
    assert curve.num_nines == num_nines
    assert curve.shares[-1] == pytest.approx(1 - 10.0**-num_nines)


def test_stages_add_up_to_the_latency_in_each_band() -> None:
    run = simulate(num_requests=2000)
    curve = latency_curve(run)
    assert curve is not None
    ordered = latencies_ms(run)
    assert [(band.low, band.high, band.num_requests) for band in curve.bands] == [
        (0.0, 0.5, 1000),
        (0.5, 0.9, 800),
        (0.9, 0.99, 180),
        (0.99, 1.0, 20),
    ]
    for band in (curve.whole, *curve.bands):
        rows = slice(round(band.low * 2000), round(band.high * 2000))
        assert band.latency_ms == pytest.approx(ordered[rows].mean(), rel=1e-6)
    assert list(by_title(curve.whole.stages_ms))[:3] == [
        "lateness of the client",
        "wait for step 0",
        "gather for step 0",
    ]


def test_a_band_of_hardly_any_requests_is_left_out() -> None:
    curve = latency_curve(simulate(num_requests=100))
    assert curve is not None
    assert [band.high for band in curve.bands] == [0.5, 0.9, 0.99]


def test_only_measured_requests_that_finished_count() -> None:
    run = simulate(num_requests=1000)
    run.requests["is_warmup"][:100] = True
    run.requests["status"][100:150] = "failed"
    curve = latency_curve(run)
    assert curve is not None
    assert curve.whole.num_requests == 850


def test_without_a_result_there_is_no_curve() -> None:
    run = simulate(num_requests=10)
    run.requests["status"][:] = "failed"
    assert latency_curve(run) is None
