"""Pauses that chance does not give, and those that it does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rnb.analysis.pauses import Pauses, find_pauses, longest_by_chance
from rnb.analysis.step_work import step_work
from rnb.record.run import Run
from tests.support.single_server import single_server_run

COUNT = 2000


def pauses_of(run: Run) -> Pauses | None:
    last_s = float(run.due_ns.max() - run.window_ns[0]) / 1e9
    return find_pauses(run, list(step_work(run)), (0.0, last_s))


def run_with(stalls: dict[int, float], load: float = 0.5, seed: int = 0, count: int = COUNT) -> Run:
    """Services of 6 ms on average; these ones take so many seconds longer."""
    random = np.random.default_rng(seed)
    services = random.exponential(0.006, count)
    for row, longer_s in stalls.items():
        services[row] += longer_s
    return single_server_run(np.cumsum(random.exponential(0.006 / load, count)), services)


def test_a_hang_is_found_with_its_time() -> None:
    """Two seconds in a run of twelve and more."""
    run = run_with({800: 2.0}, load=0.9)
    found = pauses_of(run)
    assert found
    assert found.is_large
    assert found.number == 1
    assert found.longest_s == pytest.approx(2.0, rel=0.02)
    assert found.longest_at_s == pytest.approx((run.due_ns[800] - run.window_ns[0]) / 1e9, abs=0.3)
    assert " 2 s at 5." in str(found)


def test_a_short_one_is_found_and_not_large() -> None:
    found = pauses_of(run_with({800: 0.15}))
    assert found
    assert found.share < 0.01
    assert not found.is_large


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8, 0.9])
def test_a_stall_of_two_percent_is_hardly_ever_missed(load: float) -> None:
    stall_s = 0.02 * COUNT * 0.006 / load
    found = [pauses_of(run_with({1000: stall_s}, load, seed)) for seed in range(100)]
    assert np.mean([one is not None and one.is_large for one in found]) >= 0.95


@pytest.mark.parametrize(
    "services",
    [
        pytest.param(lambda random: random.exponential(0.006, COUNT), id="exponential"),
        pytest.param(lambda random: np.full(COUNT, 0.006), id="even"),
        pytest.param(lambda random: random.lognormal(-5.6, 1, COUNT), id="lognormal"),
        pytest.param(lambda random: np.where(random.random(COUNT) < 0.03, 0.1, 0.003), id="two kinds"),
    ],
)
def test_services_as_they_come_are_no_large_pauses(
    services: Callable[[np.random.Generator], np.ndarray],
) -> None:
    found = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        arrivals = np.cumsum(random.exponential(0.012, COUNT))
        found.append(pauses_of(single_server_run(arrivals, services(random))))
    assert np.mean([one is not None and one.is_large for one in found]) <= 0.02


def test_many_stalls_all_over_are_how_the_pipeline_works() -> None:
    found = pauses_of(run_with(dict.fromkeys(range(50, COUNT, 100), 0.3), load=0.3))
    assert found
    assert (found.number, found.is_recurring, found.is_large) == (20, True, False)
    together = pauses_of(run_with(dict.fromkeys(range(1000, 1020), 0.3), load=0.3))
    assert together
    assert together.is_large


def test_the_call_of_one_worker_of_several_that_hangs_is_found_too() -> None:
    """Requests go on finishing at the others."""
    run = run_with({})
    run.meta.replicas = [{**run.meta.replicas[0], "workers": 4}]
    for event in list(run.times)[-1:]:
        run.times[event][900] += 2_000_000_000
    found = pauses_of(run)
    assert found
    assert found.step == 0
    assert str(found).startswith("a call of step 0 took 2 s at")


def test_a_wait_for_the_next_request_is_no_pause() -> None:
    arrivals = np.concatenate([np.arange(500.0), 5000 + np.arange(500.0)])
    assert pauses_of(single_server_run(arrivals, np.full(1000, 0.5))) is None


def test_what_chance_gives_is_told_of_fifty_values_and_more() -> None:
    values = np.random.default_rng(0).exponential(1, 10_000)
    assert values.max() < longest_by_chance(values) < 3 * values.max()
    assert longest_by_chance(np.ones(49)) == np.inf
    assert longest_by_chance(np.ones(50)) == 3
