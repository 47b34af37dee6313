"""Samples, and what lies between those that were measured."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.pipeline.plan import ReplicaPlan
from rnb.simulation.service_times import NUM_QUANTILES, SampledTimes, Samples, uniforms
from rnb.spec import plan_of
from tests.support.known_times import spec_of, step


def replica() -> ReplicaPlan:
    return plan_of(spec_of(step()), num_requests=1).replicas[0]


def test_a_draw_has_the_rank_of_its_number() -> None:
    samples = Samples([30.0, 10.0, 20.0, 40.0])
    assert [samples.draw(uniform) for uniform in (0.0, 0.3, 0.5, 0.99)] == [10, 20, 30, 40]


def test_many_samples_keep_their_mean_and_their_largest_ones() -> None:
    values = np.random.default_rng(1).exponential(5.0, 100_000)
    samples = Samples(values)
    assert len(samples.quantiles) == NUM_QUANTILES
    assert samples.mean == pytest.approx(values.mean(), rel=3e-3)
    assert samples.draw(0.9999) > np.percentile(values, 99.8)


@pytest.mark.parametrize(("rows", "time_ns"), [(1, 100), (2, 150), (3, 200), (6, 350), (0, 50)])
def test_rows_that_were_not_measured_lie_on_a_line(rows: int, time_ns: int) -> None:
    samples = {(0, False): {1: Samples([100.0]), 3: Samples([200.0])}}
    times = SampledTimes.drawn(samples, [1, 2], num_requests=5, seed=0)
    assert times.call_ns(replica(), rows, 0) == time_ns
    assert times.rows_of(3) == 2


def test_the_same_seed_draws_the_same() -> None:
    assert uniforms(5, 7, 1) == uniforms(5, 7, 1) != uniforms(5, 7, 2)
