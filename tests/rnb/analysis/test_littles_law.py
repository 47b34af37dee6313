"""L = λW: exact over a whole run, near over a part of a steady one, broken where something is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.littles_law import littles_law
from rnb.contract.events import Event, EventKind
from rnb.record.run import Run
from tests.support.single_server import single_server_run


def mm1_run(load: float = 0.7, count: int = 20_000) -> Run:
    random = np.random.default_rng(0)
    return single_server_run(np.cumsum(random.exponential(1 / load, count)), random.exponential(1, count))


def test_it_nearly_holds_until_the_last_arrival() -> None:
    law = littles_law(mm1_run())
    assert law
    assert 1e-6 < abs(law.relative_deviation) < 0.01
    assert law.num_in_system == pytest.approx(0.7 / 0.3, rel=0.15)  # what theory says of M/M/1
    assert law.arrivals_per_s == pytest.approx(0.7, rel=0.03)
    assert law.mean_latency_ms == pytest.approx(1000 / 0.3, rel=0.15)


def test_it_holds_where_the_last_request_finds_nobody() -> None:
    arrivals = np.array([0.0, 1.0, 2.0, 10.0])
    run = single_server_run(arrivals, np.array([2.0, 2.0, 1.0, 0.0]))
    law = littles_law(run)
    assert law
    assert law.relative_deviation == pytest.approx(0, abs=1e-9)
    assert law.num_in_system == pytest.approx((2 + 3 + 3) / 10)


def test_a_backlog_that_grows_breaks_it() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(0.5, 2000)), random.exponential(1, 2000))
    law = littles_law(run)
    assert law
    assert law.relative_deviation < -0.1


def test_lost_requests_break_it() -> None:
    run = mm1_run(count=1000)
    lost = np.arange(0, 1000, 10)
    run.requests["status"][lost] = "unfinished"
    run.times[Event(EventKind.FINISHED, 0)][lost] = 0
    law = littles_law(run)
    assert law
    assert law.relative_deviation > 1


def test_nothing_arrives_after_the_start_of_a_bulk_run() -> None:
    assert littles_law(single_server_run(np.zeros(10), np.ones(10))) is None


def test_the_warm_up_is_in_the_system_but_no_arrival() -> None:
    """It is still there when the measured phase begins, and adds to L alone."""
    run = single_server_run(np.array([0.0, 1.0, 11.0]), np.array([3.0, 1.0, 0.0]))
    run.requests["is_warmup"] = np.array([True, False, False])
    law = littles_law(run)
    assert law
    assert law.num_in_system == pytest.approx((2 + 3) / 10)
    assert law.arrivals_per_s == pytest.approx(2 / 10)


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_nothing_finished(status: str) -> None:
    run = mm1_run(count=5)
    run.requests["status"][:] = status
    assert littles_law(run) is None
