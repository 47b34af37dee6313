"""Whether a pipeline keeps up, or cannot be told to."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.backlog import Backlog
from rnb.analysis.steady_state import find_steady_state
from tests.support.single_server import single_server_run

NUM_SEEDS = 100


def backlogs(load: float, count: int) -> list[Backlog]:
    found = []
    for seed in range(NUM_SEEDS):
        random = np.random.default_rng(seed)
        arrivals = np.cumsum(random.exponential(1 / load, count))
        backlog = find_steady_state(single_server_run(arrivals, random.exponential(1, count))).backlog
        assert backlog
        found.append(backlog)
    return found


@pytest.mark.parametrize("load", [1.0, 1.02, 1.05, 1.1, 1.2])
def test_an_overload_hardly_ever_keeps_up(load: float) -> None:
    found = backlogs(load, 3000)
    assert np.mean([backlog.keeps_up for backlog in found]) <= 0.08  # 5 %, of 100 runs
    assert np.mean([backlog.has_grown for backlog in found]) >= {1.1: 0.7, 1.2: 0.99}.get(load, 0)


@pytest.mark.parametrize(
    ("load", "count", "least_told"), [(0.5, 300, 0.95), (0.9, 2000, 0.9), (0.95, 2000, 0.3)]
)
def test_a_load_below_one_never_grows(load: float, count: int, least_told: float) -> None:
    found = backlogs(load, count)
    assert np.mean([backlog.has_grown for backlog in found]) <= 0.02
    assert np.mean([backlog.keeps_up for backlog in found]) >= least_told


def test_requests_that_are_only_served_are_no_backlog() -> None:
    """Even arrivals, each served for 300 gaps, by 400 workers."""
    run = single_server_run(np.arange(1000.0), np.full(1000, 0.5))
    run.meta.replicas = [{**run.meta.replicas[0], "workers": 400}]
    backlog = find_steady_state(run).backlog
    assert backlog
    assert backlog.growth <= 0
    assert str(backlog).startswith("the backlog grew by")
