"""What may vary of a config, and what a candidate of it is."""

from __future__ import annotations

from typing import Any

import pytest

from rnb.contract.termination import UsageError
from rnb.planner.space import Limits, Space
from rnb.spec import plan_of
from tests.support.known_times import spec_of, step

LIMITS = Limits(num_gpus=2, cores=3)


def space_of(*steps: Any, limits: Limits = LIMITS, **placement: Any) -> Space:
    return Space(spec_of(*steps, placement=placement), limits)


def on_cpu(**more: Any) -> dict[str, Any]:
    return {**step("Source"), "gpus": [-1], **more}


def test_replicas_of_a_step_on_the_cpu() -> None:
    space = space_of(on_cpu())
    (replicas,) = space.dimensions
    assert replicas.values == [(-1,), (-1, -1), (-1, -1, -1)]
    assert space.start == ((-1,),)
    assert space.describe() == [
        "  step 0 replicas: 1 on the CPU, 2 on the CPU, 3 on the CPU (now 1 on the CPU)"
    ]


def test_a_step_on_gpus_varies_in_how_many_each_has_and_in_its_workers() -> None:
    space = space_of({**on_cpu(), "gpus": [0, -1]}, limits=Limits(num_gpus=2, cores=2), device="auto")
    replicas, workers = space.dimensions
    assert (0, 0, 1, 1, -1) in replicas.values
    assert (0, 1) in replicas.values
    assert (-1, -1) in replicas.values
    assert () not in replicas.values
    assert workers.values == [None, 1, 2, 4]


def test_a_candidate_is_a_run_that_can_be_planned() -> None:
    space = space_of(on_cpu(num_shared_tensors=5), {**step("Change"), "gpus": [-1], "max_clips": 12})
    values = ((-1, -1), 10, (-1, -1, -1), 24, 2, 0)
    spec = space.spec_of(values)
    plan = plan_of(spec, num_requests=1)
    assert [one.step for one in plan.replicas] == [0, 0, 1, 1, 1]
    assert (plan.pools[0].num_slots, plan.replicas[2].max_clips) == (10, 24)
    assert (spec.placement.batch_size, spec.placement.batch_timeout_ms) == (2, 0)
    assert space.changes(values) == [
        "step 0 replicas 2 on the CPU",
        "step 0 slots 10",
        "step 1 replicas 3 on the CPU",
        "step 1 max_clips 24",
        "-b 2",
        "-bt 0",
    ]
    assert space.changes(space.start) == []


def test_choices_take_the_place_of_options_and_benchmark_does_not_see_them() -> None:
    space = space_of(on_cpu(fixed_ms=1, choices={"fixed_ms": [2, 3]}))
    assert space.dimensions[1].values == [1, 2, 3]
    (options,) = space.spec_of(((-1,), 3)).config.data["pipeline"]
    assert options["fixed_ms"] == 3
    assert "choices" not in options
    plan_of(space.spec, num_requests=1)


def test_what_must_be_single_stays_single() -> None:
    space = space_of(on_cpu(num_segments=2), step("ChangeOne"), {**step("Join"), "gpus": [-1]})
    assert not [one for one in space.dimensions if one.step == 2]


def test_a_space_of_nothing_and_one_that_is_too_large() -> None:
    with pytest.raises(UsageError, match="nothing to vary"):
        space_of(on_cpu(), limits=Limits(num_gpus=0, cores=1))
    with pytest.raises(UsageError, match="candidates, of at most"):
        space_of(*[on_cpu(choices={"fixed_ms": list(range(99))}) for _ in range(3)])
