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


def test_it_holds_over_a_whole_run() -> None:
    run = mm1_run()
    law = littles_law(run, 0.0, run.seconds)
    assert law
    assert law.relative_deviation == pytest.approx(0, abs=1e-6)
    assert law.num_in_system == pytest.approx(0.7 / 0.3, rel=0.15)  # what theory says of M/M/1
    assert law.arrivals_per_s == pytest.approx(0.7, rel=0.03)
    assert law.mean_latency_ms == pytest.approx(1000 / 0.3, rel=0.15)


def test_it_nearly_holds_over_a_part_of_a_steady_run() -> None:
    law = littles_law(mm1_run(), 2_000.0, 25_000.0)
    assert law
    assert 1e-6 < abs(law.relative_deviation) < 0.01


def test_lost_requests_break_it() -> None:
    run = mm1_run(count=1000)
    lost = np.arange(0, 1000, 10)
    run.requests["status"][lost] = "unfinished"
    run.times[Event(EventKind.FINISHED, 0)][lost] = 0
    law = littles_law(run, 0.0, run.seconds)
    assert law
    assert law.relative_deviation > 1


def test_nothing_arrives_after_the_start_of_a_bulk_run() -> None:
    run = single_server_run(np.zeros(10), np.ones(10))
    last_due_s = float(run.due_ns.max() - run.window_ns[0]) / 1e9
    assert littles_law(run, 0.0, last_due_s) is None


def test_only_measured_requests_leave_the_law_exact() -> None:
    """The warm-up's are still there when the measured phase begins, and nobody is when it ends."""
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(0.8, 300)), random.exponential(1, 300))
    run.requests["is_warmup"] = np.arange(300) < 200
    everyone = littles_law(run, 0.0, run.seconds)
    measured = littles_law(run, 0.0, run.seconds, only_measured=True)
    assert everyone
    assert measured
    assert everyone.relative_deviation > 0.01
    assert measured.relative_deviation == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_nothing_finished(status: str) -> None:
    run = mm1_run(count=5)
    run.requests["status"][:] = status
    assert littles_law(run, 0.0, run.seconds) is None
