"""The resolved plan, and the mistakes that only the step classes show."""

import re
from typing import Any

import pytest
import torch

from rnb.config import ConfigError, parse_config
from rnb.plan import POLLING_S, Plan, describe, make_plan, polling_s
from rnb.selectors import DEFAULT_SELECTOR

TINY = "tests.support.tiny_steps"


def plan_of(config: Any, *, batch_size: int = 1, mode: str = "cpu") -> Plan:
    return make_plan(parse_config(config), mode=mode, batch_size=batch_size, queue_capacity=7)


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": name if "." in name else f"{TINY}.{name}", "gpus": [0], **options}


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


def test_gpus_map_to_devices() -> None:
    config = [step("Load", gpus=[-1]), step("Classify", gpus=[1])]
    assert [r.device for r in plan_of(config, mode="cuda").replicas] == [
        torch.device("cpu"),
        torch.device("cuda", 1),
    ]
    assert {r.device for r in plan_of(config).replicas} == {torch.device("cpu")}


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
    assert [pool.layout.shapes for pool in plan.pools] == [((11, 2),), ((33, 2),)]
    assert plan.replicas[2].input_shapes == ((33, 2),)


def test_a_group_may_have_workers_of_its_own() -> None:
    groups = [{"gpus": [0], "out_queues": [0], "workers": 3}, {"gpus": [-1], "out_queues": [0]}]
    load = {"model": f"{TINY}.Load", "queue_groups": groups, "workers": 2}
    plan = plan_of({"pipeline": [load, step("Classify")]})
    assert [replica.workers for replica in plan.replicas] == [3, 2, 1]


def test_segments_have_slots_and_events_of_their_own() -> None:
    plan = plan_of(segmented(aggregate=3))
    assert [pool.layout.shapes for pool in plan.pools] == [((4, 2),), ((4, 50),)]
    assert plan.events[:5] == (
        "scheduled", "enqueue_filename", "runner0_start", "inference0_start", "inference0_finish",
    )  # fmt: skip
    assert plan.events[5:10] == (
        "slot0_finish", "handoff0_finish", "runner1_start-0", "runner1_start-1", "runner1_start-2",
    )  # fmt: skip
    assert plan.events[16:22] == (
        "slot1_finish-0", "slot1_finish-1", "slot1_finish-2",
        "handoff1_finish-0", "handoff1_finish-1", "handoff1_finish-2",
    )  # fmt: skip
    assert plan.events[-1] == "inference2_finish"


def test_a_step_that_writes_in_place_waits_for_its_slot_before_it_starts() -> None:
    assert plan_of([step("LoadInPlace"), step("Classify")]).events == (
        "scheduled", "enqueue_filename",
        "runner0_start", "slot0_start", "inference0_start", "inference0_finish", "handoff0_finish",
        "runner1_start", "inference1_start", "inference1_finish",
    )  # fmt: skip


def test_options_reach_the_replicas_that_name_them() -> None:
    config = parse_config([step("Load", fail_every=2), step("Pass", busy_ms=1), step("Classify")])
    plan = make_plan(
        config, mode="cpu", batch_size=2, queue_capacity=7, context_options={"fail_every": 9, "busy_ms": 3}
    )
    assert [replica.options for replica in plan.replicas] == [
        {"fail_every": 2},
        {"busy_ms": 1},
        {"busy_ms": 3},
    ]
    assert [replica.batch_size for replica in plan.replicas] == [1, 2, 2]


@pytest.mark.parametrize(
    ("config", "batch_size", "message"),
    [
        ([step("nowhere.Load")], 1, r"pipeline\[0\].model: 'nowhere.Load': no module named 'nowhere'"),
        ([step("Lod")], 1, r"pipeline\[0\].model: .* has no 'Lod'"),
        ([step("Load") | {"model": "Load"}], 1, "'Load' is not a path of the form 'module.Class'"),
        ([step(f"{TINY}.clips_of")], 1, "is not a class"),
        ([step("rnb.videos.VideoPathIterator")], 1, "is not a step: it has no output_shape"),
        (
            [step("Load", fail_evry=1)],
            1,
            r"pipeline\[0\].fail_evry: unknown key; did you mean 'fail_every'\?",
        ),
        (
            [step("Load", queue_selector="rnb.selectors.Nope"), step("Classify")],
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
            "batch: 0, must be at least 1",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(config: Any, batch_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        plan_of(config, batch_size=batch_size)
    assert "\n" not in str(error.value)


def test_the_description_names_processes_queues_and_bytes() -> None:
    text = describe(plan_of([step("Load", gpus=[1]), step("Classify", workers=2)], batch_size=4))
    assert "1 driver, 1 client, 2 runners" in text
    assert "step 0.0: Load on GPU 1 (mapped to the CPU): filename queue -> frame queue 0" in text
    assert "step 1.0: Classify on GPU 0 (mapped to the CPU), 2 workers, batches of 4" in text
    assert "filename queue: 7 messages, 1 writers, 1 readers" in text
    assert re.search(r"step 0.0: 10 of 11x2 float32 on cpu, 5,120 bytes\n  in all: 5,120 bytes$", text)


def test_a_step_that_takes_any_option_still_needs_a_selector_that_exists() -> None:
    config = [
        {
            "model": "tests.support.tiny_steps.TakesAnything",
            "gpus": [0],
            "colour": "blue",
            "queue_selector": "rnb.selectors.Nothing",
        },
        step("Nothing"),
    ]
    with pytest.raises(ConfigError, match=r"queue_groups\[0\]\.queue_selector: .* has no 'Nothing'"):
        plan_of(config)
    assert plan_of([{**config[0], "queue_selector": DEFAULT_SELECTOR}, config[1]]).num_steps == 2


def test_workers_look_often_for_messages_only_where_each_has_a_core() -> None:
    plan = plan_of([step("Load", gpus=[0, 0]), step("Classify", workers=3)])
    assert polling_s(plan, num_clients=2, num_cpus=8) == POLLING_S
    assert polling_s(plan, num_clients=2, num_cpus=7) == 0


def test_a_step_class_may_suggest_its_workers() -> None:
    pipeline = [{"model": "models.r2p1d.model.R2P1DLoader", "gpus": [0, -1]}, step("Classify")]

    def workers(mode: str) -> list[int]:
        return [replica.workers for replica in plan_of(pipeline, mode=mode).replicas]

    assert workers("cuda") == [4, 1, 1]
    assert workers("cpu") == [1, 1, 1]
    pipeline[0]["workers"] = 2
    assert workers("cuda") == [2, 2, 1]
