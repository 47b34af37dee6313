"""The resolved plan, and the mistakes that only the step classes show."""

from __future__ import annotations

from typing import Any

import pytest

from rnb.contract.device import CPU, Device
from rnb.contract.request import TensorSpec
from rnb.pipeline.config import DEFAULT_SELECTOR, ConfigError, parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan

TINY = "tests.support.tiny_steps"


def plan_of(config: Any, *, batch_size: int = 1, mode: str = "cpu", **flags: Any) -> Plan:
    options = PlanOptions(mode=mode, batch_size=batch_size, queue_capacity=7, **flags)
    return make_plan(parse_config(config), options)


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": name if "." in name else f"{TINY}.{name}", "gpus": [0], **options}


def names_of(plan: Plan) -> tuple[str, ...]:
    """The names of the events."""
    return tuple(event.name for event in plan.events)


def segmented(**join_options: Any) -> list[dict[str, Any]]:
    return [step("Load", num_segments=3), step("Classify"), step("Join", **join_options)]


def test_queues_count_their_writers_and_readers() -> None:
    plan = plan_of([step("Load", gpus=[0, 1]), step("Classify", gpus=[0, 0, 1])])
    assert [(queue.num_writers, queue.num_readers) for queue in plan.queues] == [(1, 2), (2, 3)]
    assert {queue.capacity for queue in plan.queues} == {7}
    assert [(replica.gpu, replica.replica_on_gpu) for replica in plan.replicas[2:]] == [
        (0, 0),
        (0, 1),
        (1, 0),
    ]


def test_a_replica_is_a_reader_of_each_of_its_queues() -> None:
    load = {"model": f"{TINY}.Load", "queue_groups": [{"gpus": [0], "out_queues": [0, 1]}]}
    groups = [{"gpus": [0], "in_queue": 0}, {"gpus": [0, 1], "in_queue": [1, 0]}]
    plan = plan_of({"pipeline": [load, {"model": f"{TINY}.Classify", "queue_groups": groups}]})
    assert [(queue.num_writers, queue.num_readers) for queue in plan.queues] == [(1, 1), (1, 3), (1, 2)]
    readers = [(replica.in_queues, replica.readers) for replica in plan.replicas[1:]]
    assert readers == [((1,), (0,)), ((2, 1), (0, 1)), ((2, 1), (1, 2))]
    assert plan.readers[1, 0] == plan.replicas[1:]
    assert plan.queues_before(1) == {1, 2}


def test_gpus_map_to_devices() -> None:
    config = [step("Load", gpus=[-1]), step("Classify", gpus=[1])]
    assert [r.device for r in plan_of(config, mode="cuda").replicas] == [
        CPU,
        Device("cuda", 1),
    ]
    assert {r.device for r in plan_of(config).replicas} == {CPU}


def test_slots_have_the_shape_of_the_largest_message() -> None:
    plan = plan_of(
        {
            "pipeline": [
                step("Load"),
                {
                    "model": "batcher.Batcher",
                    "queue_groups": [{"gpus": [0], "in_queue": 0, "out_queues": [0], "batch": 3}],
                },
                step("Classify"),
            ]
        }
    )
    assert [pool.layout for pool in plan.pools] == [(TensorSpec((11, 2)),), (TensorSpec((33, 2)),)]
    assert plan.replicas[2].inputs == (TensorSpec((33, 2)),)
    assert plan.replicas[2].most_rows == 33


def test_a_group_may_have_workers_of_its_own() -> None:
    groups = [{"gpus": [0], "out_queues": [0], "workers": 3}, {"gpus": [-1], "out_queues": [0]}]
    load = {"model": f"{TINY}.Load", "queue_groups": groups, "workers": 2}
    plan = plan_of({"pipeline": [load, step("Classify")]})
    assert [replica.workers for replica in plan.replicas] == [3, 2, 1]


def test_segments_have_slots_and_events_of_their_own() -> None:
    plan = plan_of(segmented(aggregate=3))
    assert [pool.layout for pool in plan.pools] == [(TensorSpec((4, 2)),), (TensorSpec((4, 50)),)]
    assert names_of(plan)[:5] == (
        "scheduled", "enqueue_filename", "runner0_start", "inference0_start", "inference0_finish",
    )  # fmt: skip
    assert names_of(plan)[5:10] == (
        "slot0_finish", "handoff0_finish", "runner1_start-0", "runner1_start-1", "runner1_start-2",
    )  # fmt: skip
    assert names_of(plan)[16:22] == (
        "slot1_finish-0", "slot1_finish-1", "slot1_finish-2",
        "handoff1_finish-0", "handoff1_finish-1", "handoff1_finish-2",
    )  # fmt: skip
    assert names_of(plan)[-1] == "inference2_finish"


def test_a_step_that_writes_in_place_waits_for_its_slot_before_it_starts() -> None:
    assert names_of(plan_of([step("LoadInPlace"), step("Classify")])) == (
        "scheduled", "enqueue_filename",
        "runner0_start", "slot0_start", "inference0_start", "inference0_finish", "handoff0_finish",
        "runner1_start", "inference1_start", "inference1_finish",
    )  # fmt: skip


def test_options_reach_the_replicas_whose_steps_have_them() -> None:
    config = [step("Load", fail_every=2), step("Pass", busy_ms=1), step("Classify")]
    plan = plan_of(config, batch_size=2)
    assert [replica.options for replica in plan.replicas] == [
        {"fail_every": 2},
        {"busy_ms": 1},
        {"busy_ms": 0},
    ]
    assert [replica.batch_size for replica in plan.replicas] == [1, 2, 2]


def test_the_runs_seed_and_checkpoint_reach_the_steps_that_have_them_where_the_config_leaves_them_out() -> (
    None
):
    exponential = {"model": "models.queueing.model.Exponential", "gpus": [0], "mean_ms": 1}
    config = [exponential, {**exponential, "seed": 4}, step("Nothing")]
    plan = plan_of(config, step_options={"seed": 9, "checkpoint": "a.pt", "mean_ms": 7})
    assert [dict(replica.options) for replica in plan.replicas] == [
        {"mean_ms": 1, "seed": 9},
        {"mean_ms": 1, "seed": 4},
        {},
    ]


def test_tensors_of_several_types_have_slots_together() -> None:
    layout = (TensorSpec((11, 2)), TensorSpec((22, 4), "int32"))
    plan = plan_of([step("LoadTwo"), step("CheckTwo")])
    assert plan.pools[0].layout == layout
    assert plan.replicas[1].inputs == layout
    split = plan_of([step("LoadTwo", num_segments=3), step("Join", aggregate=3)])
    assert split.pools[0].layout == (TensorSpec((4, 2)), TensorSpec((8, 4), "int32"))


def test_groups_whose_outputs_have_other_row_counts_give_the_larger() -> None:
    groups = [{"gpus": [0], "in_queue": 0, "out_queues": [0], "batch": batch} for batch in (2, 3)]
    batchers = {"model": "rnb.pipeline.batcher.Batcher", "queue_groups": groups}
    one = {"queue_groups": [{"gpus": [0], "out_queues": [0]}]}
    last = {"queue_groups": [{"gpus": [0], "in_queue": 0}]}
    plan = plan_of(
        {"pipeline": [{"model": f"{TINY}.Load", **one}, batchers, {"model": f"{TINY}.Classify", **last}]}
    )
    assert [pool.layout for pool in plan.pools[1:]] == [(TensorSpec((22, 2)),), (TensorSpec((33, 2)),)]
    assert plan.replicas[-1].inputs == (TensorSpec((33, 2)),)


@pytest.mark.parametrize(
    ("config", "batch_size", "message"),
    [
        ([step("nowhere.Load")], 1, r"pipeline\[0\].model: 'nowhere.Load': no module named 'nowhere'"),
        ([step("Lod")], 1, r"pipeline\[0\].model: .* has no 'Lod'"),
        ([step("Load") | {"model": "Load"}], 1, "'Load' is not a path of the form 'module.Class'"),
        ([step(f"{TINY}.clips_of")], 1, "is not a class"),
        ([step("rnb.load.videos.VideoPathIterator")], 1, "is not a step: it has no output_shape"),
        (
            [step("Load", fail_evry=1)],
            1,
            r"pipeline\[0\].fail_evry: unknown key; did you mean 'fail_every'\?",
        ),
        (
            [step("Load", queue_selector="rnb.pipeline.selectors.Nope"), step("Classify")],
            1,
            "queue_selector: .* has no 'Nope'",
        ),
        ([step("Load"), step("Nothing")], 4, "-b: 4: no step of this pipeline takes several requests"),
        (
            [step("Load"), step("Classify")],
            11,
            r"pipeline\[0\].num_shared_tensors: 10: must be at least the batch size",
        ),
        (
            [step("Load"), step("Classify", max_clips=5)],
            1,
            r"max_clips: 5: one message may have 11 clips already",
        ),
        ([step("Nothing"), step("Nothing", max_clips=5)], 1, "does not take the clips of several requests"),
        (segmented(aggregate=2), 1, r"pipeline\[2\].aggregate: 2: the requests come in 3 segments"),
        (segmented(), 1, r"pipeline\[2\].aggregate: 1: the requests come in 3 segments"),
        (segmented(aggregate=3, gpus=[0, 0]), 1, "one replica with one worker"),
        (segmented(aggregate=3)[:2], 1, "no step joins the 3 segments"),
        ([step("Load", num_segments=2), step("Classify", num_segments=2), step("Join")], 1, "split already"),
        (
            [step("Load"), step("batcher.Batcher", batch=0), step("Classify")],
            1,
            r"pipeline\[1\].batch: 0: input should be greater than or equal to 1",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(config: Any, batch_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        plan_of(config, batch_size=batch_size)
    assert "\n" not in str(error.value)


def test_a_step_that_takes_any_option_still_needs_a_selector_that_exists() -> None:
    config = [
        {
            "model": "tests.support.tiny_steps.TakesAnything",
            "gpus": [0],
            "colour": "blue",
            "queue_selector": "rnb.pipeline.selectors.Nothing",
        },
        step("Nothing"),
    ]
    with pytest.raises(ConfigError, match=r"queue_groups\[0\]\.queue_selector: .* has no 'Nothing'"):
        plan_of(config)
    assert plan_of([{**config[0], "queue_selector": DEFAULT_SELECTOR}, config[1]]).num_steps == 2


def test_a_step_class_may_suggest_its_workers() -> None:
    pipeline = [{"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0, -1]}, step("Classify")]

    def workers(mode: str) -> list[int]:
        return [replica.workers for replica in plan_of(pipeline, mode=mode).replicas]

    assert workers("cuda") == [4, 1, 1]
    assert workers("cpu") == [1, 1, 1]
    pipeline[0]["workers"] = 2
    assert workers("cuda") == [2, 2, 1]


@pytest.mark.parametrize(("key", "value"), [("num_shared_tensors", 10**12), ("workers", 10**6)])
def test_numbers_that_no_machine_has_room_for(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"pipeline\[0\]\.{key}: {value}: .*less than or equal to"):
        plan_of([step("Load", **{key: value}), step("Classify")])
