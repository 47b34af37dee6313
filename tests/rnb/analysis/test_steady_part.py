"""The part of a run that its figures are taken from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import find_steady_state
from tests.support.single_server import single_server_run


def test_what_was_due_before_the_cut_counts_as_warm_up() -> None:
    random = np.random.default_rng(0)
    arrivals_s = np.linspace(0, 29.99, 3_000)
    run = single_server_run(arrivals_s, random.exponential(0.005, 3_000))
    part = steady_part(run, replace(find_steady_state(run), start_s=2.995))
    assert np.array_equal(part.is_measured, arrivals_s > 2.995)
    assert part.window_ns[0] == run.due_ns[300]
    assert run.is_measured.all()


def test_a_run_that_was_steady_from_its_start_stays_whole() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.linspace(0, 29.99, 3_000), random.exponential(0.005, 3_000))
    state = find_steady_state(run)
    assert state.start_s == 0
    assert steady_part(run, state) is run
