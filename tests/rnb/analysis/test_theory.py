"""Queueing theory: against published values, against each other, and against simulated queues."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnb.analysis.theory import MD1, MMc, Queue
from tests.support.ideal_queue import ideal_waits

NUM_SIMULATED = 400_000


@pytest.mark.parametrize(
    ("num_servers", "offered", "chance"),
    [(1, 0.7, 0.7), (2, 1.0, 1 / 3), (3, 2.0, 4 / 9), (10, 8.0, 0.4092), (100, 90.0, 0.21690)],
)
def test_erlangs_c_formula(num_servers: int, offered: float, chance: float) -> None:
    queue = MMc(rate=offered, service=1, num_servers=num_servers)
    assert queue.chance_to_wait() == pytest.approx(chance, abs=5e-5)


def test_one_exponential_server_is_mm1() -> None:
    queue = MMc(rate=0.08, service=10, num_servers=1)
    assert queue.mean_wait() == pytest.approx(0.8 * 10 / 0.2)
    assert queue.wait_percentile(99) == pytest.approx(math.log(0.8 / 0.01) * 10 / 0.2)


def test_a_deterministic_server_halves_the_wait() -> None:
    for load in (0.1, 0.5, 0.9):
        exponential = MMc(rate=load, service=1, num_servers=1)
        assert MD1(rate=load, service=1).mean_wait() == pytest.approx(exponential.mean_wait() / 2)


def erlangs_series(load: float, wait: float) -> float:
    """The chance to wait at most so many services; its terms alternate in sign, so only for short waits."""
    terms = (
        (load * (number - wait)) ** number / math.factorial(number) * math.exp(-load * (number - wait))
        for number in range(math.floor(wait) + 1)
    )
    return (1 - load) * math.fsum(terms)


@pytest.mark.parametrize("load", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("wait", [0, 0.3, 1, 1.7, 5.5, 8])
def test_the_distribution_of_md1_is_erlangs(load: float, wait: float) -> None:
    assert MD1(rate=2 * load, service=0.5).wait_cdf(wait / 2) == pytest.approx(erlangs_series(load, wait))


@pytest.mark.parametrize("load", [0.2, 0.6, 0.9])
def test_the_distribution_of_md1_has_its_mean(load: float) -> None:
    queue = MD1(rate=load, service=1)
    waits = np.linspace(0, 60, 3_001)
    above = 1 - np.array([queue.wait_cdf(wait) for wait in waits.tolist()])
    assert float(np.trapezoid(above, waits)) == pytest.approx(queue.mean_wait(), rel=1e-3)


@pytest.mark.parametrize("percentile", [50, 90, 99, 99.9])
def test_the_percentiles_invert_the_distribution(percentile: float) -> None:
    for queue in (MD1(rate=0.7, service=1), MMc(rate=1.6, service=1, num_servers=2)):
        wait = queue.wait_percentile(percentile)
        assert wait > 0
        assert queue.wait_cdf(wait) == pytest.approx(percentile / 100)


def test_most_do_not_wait_where_the_load_is_low() -> None:
    for queue in (MD1(rate=0.1, service=1), MMc(rate=0.1, service=1, num_servers=2)):
        assert queue.wait_percentile(50) == 0


@pytest.mark.parametrize(
    ("queue", "num_servers"),
    [(MD1(rate=0.7, service=1), 1), (MMc(rate=1.4, service=1, num_servers=2), 2)],
    ids=["M/D/1", "M/M/2"],
)
def test_an_ideal_queue_waits_as_theory_says(queue: Queue, num_servers: int) -> None:
    draw = np.random.default_rng(7)
    arrivals = np.cumsum(draw.exponential(1 / (0.7 * num_servers), NUM_SIMULATED))
    services = np.ones(NUM_SIMULATED) if num_servers == 1 else draw.exponential(1, NUM_SIMULATED)
    waits = ideal_waits(arrivals, services.tolist(), num_servers)
    assert waits.mean() == pytest.approx(queue.mean_wait(), rel=0.02)
    assert np.percentile(waits, 99) == pytest.approx(queue.wait_percentile(99), rel=0.03)


def test_an_ideal_queue_serves_in_the_order_of_arrival() -> None:
    arrivals = np.array([0.0, 1.0, 2.0, 10.0])
    assert ideal_waits(arrivals, [4.0, 4.0, 4.0, 4.0], 1).tolist() == [0, 3, 6, 2]
    assert ideal_waits(arrivals, [4.0, 4.0, 4.0, 4.0], 2).tolist() == [0, 0, 2, 0]


@pytest.mark.parametrize("rate", [0, 1, 1.5])
def test_a_queue_that_never_settles_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="only between 0 and 1"):
        MD1(rate=rate, service=1)
