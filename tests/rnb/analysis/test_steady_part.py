"""The part of a run whose figures count."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import find_steady_state
from rnb.record.run import Run
from tests.support.single_server import single_server_run


def cold_run(arrivals: np.ndarray) -> Run:
    services = np.random.default_rng(0).gamma(4, 0.25, len(arrivals))
    return single_server_run(arrivals, services * np.where(np.arange(len(arrivals)) < 300, 4, 1))


def test_requests_due_before_the_cut_count_as_warm_up() -> None:
    run = cold_run(np.cumsum(np.random.default_rng(1).exponential(2, 3000)))
    steady = find_steady_state(run)
    part = steady_part(run, steady)
    assert steady.is_cut
    assert steady.start_s
    cut_ns = run.window_ns[0] + round(1e9 * steady.start_s)
    assert part.requests["is_warmup"].tolist() == (run.due_ns < cut_ns).tolist()
    assert part.window_ns[0] == run.due_ns[run.due_ns >= cut_ns].min()
    assert not run.requests["is_warmup"].any()  # the run itself stays as it is


def test_of_a_bulk_run_requests_done_before_the_cut_do() -> None:
    run = cold_run(np.zeros(3000))
    part = steady_part(run, find_steady_state(run))
    num_cut = int(np.count_nonzero(part.requests["is_warmup"]))
    assert 300 <= num_cut <= 1000
    assert part.window_ns == (np.sort(run.ends_ns)[num_cut - 1], run.ends_ns.max())
    assert part.finished.sum() / part.seconds == pytest.approx(1, rel=0.05)


def test_without_a_cut_it_is_the_run() -> None:
    run = single_server_run(np.arange(1000.0), np.full(1000, 0.5))
    assert steady_part(run, find_steady_state(run)) is run


def test_a_user_s_warm_up_stays_warm_up() -> None:
    run = cold_run(np.cumsum(np.random.default_rng(1).exponential(2, 3000)))
    run.requests["is_warmup"] = np.arange(3000) < 10
    part = steady_part(run, find_steady_state(run))
    assert part.requests["is_warmup"][:300].all()
