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
    assert space.start == (0, (-1,))
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
    values = (0, (-1, -1), 10, (-1, -1, -1), 24, 2, 0)
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
    (options,) = space.spec_of((0, (-1,), 3)).config.data["pipeline"]
    assert options["fixed_ms"] == 3
    assert "choices" not in options
    plan_of(space.spec, num_requests=1)


def test_what_must_be_single_stays_single() -> None:
    space = space_of(on_cpu(num_segments=2), step("ChangeOne"), {**step("Join"), "gpus": [-1]})
    assert not [one for one in space.dimensions if one.step == 2]


def test_a_space_of_nothing() -> None:
    with pytest.raises(UsageError, match="nothing to vary"):
        space_of(on_cpu(), limits=Limits(num_gpus=0, cores=1))


def test_segments_and_the_option_of_the_step_that_joins_them_go_together() -> None:
    space = space_of(
        on_cpu(num_segments=2, num_shared_tensors=9),
        {**step("ChangeOne"), "gpus": [-1]},
        {**step("JoinSome"), "gpus": [-1], "aggregate": 2},
    )
    place, segments = next(
        (place, one) for place, one in enumerate(space.dimensions, 1) if one.key == "num_segments"
    )
    assert segments.values == [1, 2, 3, 4, 6]
    for count in segments.values:
        spec = space.spec_of((*space.start[:place], count, *space.start[place + 1 :]))
        first, _, last = spec.config.data["pipeline"]
        assert (first["num_segments"], last["aggregate"]) == (count, count)
        plan_of(spec, num_requests=1)


def test_a_step_on_gpus_may_have_replicas_on_the_cpu_beside_where_its_class_runs_there() -> None:
    beside, alone = (
        space_of({**step(name), "gpus": [0]}, limits=Limits(num_gpus=1, cores=2), device="auto")
        for name in ("Source", "NeedsGpu")
    )
    assert {(0, -1), (0, 0, -1, -1), (-1,)} < set(beside.dimensions[0].values)
    assert all(min(gpus) >= 0 for gpus in alone.dimensions[0].values)


def test_choices_of_queue_groups_and_of_what_else_a_step_has() -> None:
    selector = "rnb.pipeline.selectors.ClipCountSelector"
    groups = [{"gpus": [-1], "out_queues": [0, 1], "choices": {"queue_selector": [selector]}}]
    readers = [
        {"gpus": [-1], "in_queue": 0, "choices": {"gpus": [[-1, -1]]}},
        {"gpus": [-1], "in_queue": [1, 0]},
    ]
    space = space_of(
        {"model": step("Source")["model"], "queue_groups": groups, "choices": {"num_shared_tensors": [7]}},
        {"model": step("Change")["model"], "queue_groups": readers},
    )
    keys = [(one.step, one.group, one.key) for one in space.dimensions]
    assert keys[:5] == [
        (0, 0, "gpus"), (0, 0, "queue_selector"), (0, None, "num_shared_tensors"), (1, 0, "gpus"),
        (1, 1, "gpus"),
    ]  # fmt: skip
    values = (*space.start[:2], selector, 7, (-1, -1), *space.start[5:])
    spec = space.spec_of(values)
    plan = plan_of(spec, num_requests=1)
    assert plan.replicas[0].selector == selector
    assert [one.in_queues for one in plan.replicas] == [(0,), (1,), (1,), (2, 1)]
    assert "choices" not in str(spec.config.data)
    assert "step 1 group 0 replicas 2 on the CPU" in space.changes(values)


def test_a_queue_for_each_gpu() -> None:
    space = space_of({**on_cpu(), "gpus": [0, 1]}, {**step("Change"), "gpus": [0, 1]})
    (place,) = [number for number, one in enumerate(space.dimensions, 1) if one.key == "per_gpu_queue"]
    spec = space.spec_of((*space.start[:place], True))
    assert [len(one["queue_groups"]) for one in spec.config.data["pipeline"]] == [2, 2]
    uneven = (0, space.dimensions[0].values[1], *space.start[2:place], True)
    space.spec_of(uneven)  # more of the same
    only_one = Space(
        spec_of({**on_cpu(), "gpus": [0, 1], "choices": {"gpus": [[0]]}}, {**step("Change"), "gpus": [0, 1]}),
        LIMITS,
    )
    uneven = (0, (0,), *only_one.start[2:-1], True)
    with pytest.raises(UsageError, match="same GPUs"):
        only_one.spec_of(uneven)


def test_a_timeout_that_nothing_waits_for_is_the_same_candidate_again() -> None:
    space = space_of(on_cpu(), {**step("Change"), "gpus": [-1]})
    *others, size, _ = space.start
    assert not space.is_needless(space.start)
    assert space.is_needless((*others, size, 0))
    assert not space.is_needless((*others, 4, 0))
