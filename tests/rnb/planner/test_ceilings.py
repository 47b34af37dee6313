"""Ceilings of what steps share, held against simulated runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rnb.planner.ceilings import ceilings
from rnb.simulation.service_times import SampledTimes, Samples
from rnb.simulation.simulate import Surroundings, simulate
from rnb.spec import plan_of, schedule_of
from tests.support.known_times import spec_of, step

NUM_REQUESTS = 1_000


def told_and_simulated(
    steps: Sequence[Mapping[str, Any]], times_ms: Mapping[tuple[int, bool], float], around: Surroundings
) -> tuple[dict[str, float], float]:
    """The ceilings by name, and what is served in a simulated run, in requests/s."""
    spec = spec_of(*map(dict, steps), videos=NUM_REQUESTS)
    spec, schedule = schedule_of(replace(spec, placement=replace(spec.placement, device="cuda")))
    plan = plan_of(spec, num_requests=NUM_REQUESTS, is_for_this_machine=False)
    samples = {key: {1: Samples(np.full(9, 1e6 * took))} for key, took in times_ms.items()}
    services = SampledTimes.drawn(samples, [1], num_requests=NUM_REQUESTS, seed=0)
    run = simulate(spec, schedule, services, around=around, plan=plan)
    return {one.name: one.per_s for one in ceilings(plan, services, around)}, NUM_REQUESTS / run.seconds


def test_calls_of_two_steps_on_one_gpu_cannot_exceed_it() -> None:
    """Half of it for 2 ms and all of it for 3 ms."""
    steps = {**step("Source"), "gpus": [0, 0]}, {**step("ChangeOne"), "gpus": [0, 0]}
    around = Surroundings(capacity={"cuda:0": 1.0}, demand={(0, True): 0.5, (1, True): 1.0})
    told, served_per_s = told_and_simulated(steps, {(0, True): 2.0, (1, True): 3.0}, around)
    assert min(told, key=lambda name: told[name]) == "the GPU"
    assert told["the GPU"] == pytest.approx(1e3 / 4)
    assert served_per_s == pytest.approx(told["the GPU"], rel=0.02)


def test_no_share_of_a_gpu_is_no_ceiling() -> None:
    around = Surroundings(capacity={"cuda:0": 1.0}, demand={(0, True): 0.0})
    told, _ = told_and_simulated([{**step("Source"), "gpus": [0]}], {(0, True): 2.0}, around)
    assert "the GPU" not in told


def test_a_slow_replica_on_the_cpu_takes_nothing_from_a_fast_one_on_a_gpu() -> None:
    around = Surroundings(capacity={"cpu": 4.0, "cuda:0": 1.0}, demand={(0, False): 1.0, (0, True): 0.0})
    steps = [{**step("Source"), "gpus": [0, -1]}]
    told, served_per_s = told_and_simulated(steps, {(0, True): 1.0, (0, False): 100.0}, around)
    assert served_per_s == pytest.approx(1_000, rel=0.02)
    assert all(per_s > served_per_s for per_s in told.values())
