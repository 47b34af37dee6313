"""Replicas that had work and did none of it."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.stalls import MAX_STALLS, stalls
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def exponential(count: int, seed: int = 0, load: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return np.cumsum(random.exponential(0.01 / load, count)), random.exponential(0.01, count)


def test_a_stalled_replica_is_found_where_it_stood_still() -> None:
    arrivals_s, services_s = exponential(2_000)
    services_s[1_000] = 2.0
    (found,) = stalls(single_server_run(arrivals_s, services_s))
    assert found.replicas == ("step 0.0",)
    assert found.end_s - found.start_s == pytest.approx(2.0)
    began_s = arrivals_s[1_000] - arrivals_s[0]
    assert began_s - 1e-6 <= found.start_s < began_s + 1
    assert found.text == "step 0.0 served nothing for 2 s"


def test_a_replica_that_waits_for_requests_is_not_stalled() -> None:
    arrivals_s, services_s = exponential(2_000)
    arrivals_s[1_000:] += 60.0
    assert stalls(single_server_run(arrivals_s, services_s)) == []


@pytest.mark.parametrize("load", [0.3, 0.9, 1.2])
def test_a_queue_has_none_by_chance(load: float) -> None:
    runs = [single_server_run(*exponential(5_000, seed, load)) for seed in range(20)]
    assert sum(len(stalls(run)) for run in runs) <= 1


def test_those_that_overlap_are_one_and_the_longest_are_kept() -> None:
    arrivals_s, services_s = exponential(4_000, load=0.3)
    lengths_s = 1 + np.arange(8) / 8
    services_s[400:3_600:400] = lengths_s
    found = stalls(single_server_run(arrivals_s, services_s))
    assert len(found) == MAX_STALLS
    assert [stall.end_s - stall.start_s for stall in found] == pytest.approx(lengths_s[-MAX_STALLS:])


def test_a_run_of_two_steps_in_order_has_none() -> None:
    assert stalls(simulate()) == []
