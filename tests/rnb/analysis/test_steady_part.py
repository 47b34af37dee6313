"""The part of a run that was steady."""

from __future__ import annotations

import numpy as np

from rnb.analysis.steady_part import steady_part
from rnb.analysis.steady_state import find_steady_state
from tests.support.simulated_runs import simulate


def test_a_steady_run_is_left_as_it_is() -> None:
    run = simulate(num_requests=2000, rate_per_s=100, has_telemetry=False)
    assert steady_part(run, find_steady_state(run)) is run


def test_requests_due_before_the_steady_state_warm_up() -> None:
    run = simulate(num_requests=4000, rate_per_s=100, has_telemetry=False)
    for event in run.events[2:]:
        run.times[event][:400] += np.linspace(8e9, 0, 400).astype(np.int64)
    steady = find_steady_state(run)
    part = steady_part(run, steady)
    assert steady.start_s
    assert part.num_warmup > 300
    assert (part.due_ns[part.is_measured] >= run.start_ns + steady.start_s * 1e9).all()
    assert run.num_warmup == 0
