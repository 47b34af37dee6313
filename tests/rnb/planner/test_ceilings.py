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


def test_what_decodes_has_the_video_engines_to_itself() -> None:
    """Both would need all of a GPU; four replicas have 1 ms and 2 ms each."""
    steps = {**step("Decoder"), "gpus": [0] * 4}, {**step("ChangeOne"), "gpus": [0] * 4}
    capacity = {"cuda:0": 1.0, "nvdec:0": 1.0}
    around = Surroundings(capacity=capacity, demand={(0, True): 1.0, (1, True): 1.0})
    told, served_per_s = told_and_simulated(steps, {(0, True): 1.0, (1, True): 2.0}, around)
    assert (told["the GPU"], told["the video engines of the GPU"]) == (500, 1_000)
    assert served_per_s == pytest.approx(500, rel=0.02)


def test_calls_on_a_gpu_take_cores_from_those_on_the_cpu() -> None:
    """One of two cores: the two replicas on the CPU share the other one."""
    steps = {**step("Source"), "gpus": [0]}, {**step("ChangeOne"), "gpus": [-1, -1]}
    capacity, demand = {"cpu": 2.0, "cuda:0": 1.0}, {(0, True): 0.1, (1, False): 1.0}
    times_ms = {(0, True): 5.0, (1, False): 10.0}
    for host, per_s in ((0.0, 200), (1.0, 1e3 / (5 + 10) * 2)):
        around = Surroundings(capacity=capacity, demand=demand, host={0: host})
        told, served_per_s = told_and_simulated(steps, times_ms, around)
        assert told["the CPU's cores"] == pytest.approx(1e3 * 2 / (10 + 5 * host))
        assert served_per_s == pytest.approx(per_s, rel=0.03)


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
