"""What each node has of a plan, and what crosses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rnb.pipeline.config import parse_config
from rnb.pipeline.description import describe
from rnb.pipeline.parts import Landing, crossings, part_of
from rnb.pipeline.plan import Plan, PlanOptions, WayPlan, make_plan
from tests.support.running import tiny


def plan_of(*steps: dict[str, Any], num_nodes: int = 1, **options: Any) -> Plan:
    return make_plan(parse_config(list(steps), num_nodes=num_nodes), PlanOptions(mode="cpu", **options))


THERE_AND_BACK = (
    tiny("Load", gpus=[0, 0]),
    tiny("Pass", gpus=["0:0", "1:0", "1:1"], num_shared_tensors=4),
    tiny("Classify", gpus=["0:0"]),
)


def test_a_plan_on_one_node_is_its_own_part() -> None:
    plan = plan_of(tiny("Load"), tiny("Classify"))
    assert part_of(plan, 0).plan is plan
    assert part_of(plan, 0).bridges == ()
    assert crossings(plan) == []


def test_the_drivers_part() -> None:
    part = part_of(plan_of(*THERE_AND_BACK, num_clients=2), 0)
    assert [replica.name for replica in part.plan.replicas] == [
        "step 0.0",
        "step 0.1",
        "step 1.0",
        "step 2.0",
    ]
    filenames, first, second, to_node_1 = part.plan.queues
    assert (filenames.num_writers, filenames.num_readers, filenames.ways) == (2, 2, ())
    assert (first.num_writers, first.num_readers) == (2, 1)
    assert first.ways == (WayPlan(queue=0 + 1, num_readers=1), WayPlan(queue=3, num_readers=2))
    assert (second.num_writers, second.num_readers) == (2, 1), "its own replica, and the bridge"
    assert (to_node_1.num_writers, to_node_1.num_readers) == (2, 1)
    (bridge,) = part.bridges
    assert bridge.outgoing == {1: 3}
    assert bridge.incoming == {2: Landing(queue=2, pool=3)}
    assert bridge.read_pools == (0, 1)
    assert (bridge.listens, bridge.connects, bridge.measures_clock) == (True, False, True)
    assert bridge.name == "bridge to node 1"
    landed = part.plan.pools[3]
    assert (landed.num_slots, str(landed.device)) == (4, "cpu")
    assert part.plan.replicas[-1].in_pools == (2, 3), "of the replica here, and what arrives"


def test_the_other_part() -> None:
    part = part_of(plan_of(*THERE_AND_BACK), 1)
    assert [replica.name for replica in part.plan.replicas] == ["step 1.1", "step 1.2"]
    assert [replica.readers for replica in part.plan.replicas] == [(0,), (1,)]
    assert [replica.out_pool for replica in part.plan.replicas] == [0, 1]
    assert [replica.in_pools for replica in part.plan.replicas] == [(2,), (2,)]
    _, first, second, to_node_0 = part.plan.queues
    assert (first.num_writers, first.num_readers) == (1, 2), "one bridge writes"
    assert second.ways == (WayPlan(queue=3, num_readers=1),), "no reader here"
    assert to_node_0.num_writers == 2
    (bridge,) = part.bridges
    assert (bridge.listens, bridge.connects, bridge.measures_clock) == (False, True, False)
    assert bridge.incoming == {1: Landing(queue=1, pool=2)}
    assert bridge.read_pools == (0, 1)


def test_writers_send_what_has_no_tensors_themselves() -> None:
    steps = (
        tiny("TakesAnything", gpus=["0:0", "1:0", "1:0"]),
        tiny("TakesAnything", gpus=["0:0", "0:0", "1:0"]),
    )
    here, there = (part_of(plan_of(*steps, num_clients=4), node) for node in (0, 1))
    assert here.plan.queues[0].ways == (
        WayPlan(queue=0, num_readers=1),
        WayPlan(queue=0, num_readers=2, lane_to=1),
    )
    assert there.plan.queues[1].ways == (
        WayPlan(queue=1, num_readers=2, lane_to=0),
        WayPlan(queue=1, num_readers=1),
    )
    assert len(here.plan.queues) == len(there.plan.queues) == 2, "none that leads to a bridge"
    (bridge,), (other,) = here.bridges, there.bridges
    assert (bridge.outgoing, bridge.incoming, bridge.lanes) == ({}, {}, {1: 2})
    assert (other.outgoing, other.incoming, other.lanes) == ({}, {}, {0: 4, 1: 1})
    assert other.listens, "for the writers of node 0"
    assert [queue.num_writers for queue in here.plan.queues] == [4, 1 + 2]
    assert [queue.num_writers for queue in there.plan.queues] == [4, 2 + 1]


def test_what_arrives_by_each_of_the_queues_of_a_replica_is_its_input() -> None:
    load = {
        "model": "tests.support.tiny_steps.Load",
        "queue_groups": [{"gpus": ["0:0", "1:0"], "out_queues": [0, 1]}],
    }
    groups = [{"gpus": ["1:0"], "in_queue": 0}, {"gpus": ["0:0", "1:0"], "in_queue": [1, 0]}]
    plan = plan_of(load, {"model": "tests.support.tiny_steps.Classify", "queue_groups": groups})
    part = part_of(plan, 1)
    (bridge,) = part.bridges
    assert set(bridge.incoming) == {1, 2}
    landed = tuple(landing.pool for landing in bridge.incoming.values())
    assert [(one.in_queues, one.readers, one.in_pools) for one in part.plan.replicas[1:]] == [
        ((1,), (0,), (0, landed[0])),
        ((2, 1), (0, 1), (0, *landed)),
    ]


def test_writers_that_may_be_replaced_send_by_the_bridge() -> None:
    steps = (tiny("TakesAnything", gpus=["0:0", "1:0"]), tiny("TakesAnything", gpus=["0:0", "1:0"]))
    plan = replace(plan_of(*steps), replaces=True)
    here, there = (part_of(plan, node) for node in (0, 1))
    assert here.plan.queues[0].ways[1].lane_to == 1, "clients are not replaced"
    assert here.plan.queues[1].ways == (
        WayPlan(queue=1, num_readers=1),
        WayPlan(queue=2, num_readers=1),
    )
    assert here.plan.places_of(1) == (1, 2)
    assert there.plan.places_of(1) == (2, 1)
    (bridge,), (other,) = here.bridges, there.bridges
    assert (bridge.outgoing, bridge.lanes) == ({1: 2}, {})
    assert (other.outgoing, other.lanes) == ({1: 2}, {0: 1})
    assert bridge.incoming == other.incoming == {1: Landing(queue=1, pool=None)}
    assert bridge.landing_pools == []


def test_nobody_sends_himself_where_nodes_may_be_replaced() -> None:
    steps = (tiny("TakesAnything", gpus=["0:0", "1:0"]), tiny("TakesAnything", gpus=["0:0", "1:0"]))
    plan = replace(plan_of(*steps), replaces=True, replaces_nodes=True)
    here, there = (part_of(plan, node) for node in (0, 1))
    assert [way.lane_to for queue in here.plan.queues for way in queue.ways] == [None] * 4
    (bridge,), (other,) = here.bridges, there.bridges
    assert set(bridge.outgoing) == {0, 1}
    assert bridge.lanes == other.lanes == {}
    assert not other.listens


def test_nodes_without_data_between_them_are_joined_to_the_driver_alone() -> None:
    plan = plan_of(tiny("Load"), tiny("Classify", gpus=["1:0", "2:0"]))
    assert [bridge.peer for bridge in part_of(plan, 0).bridges] == [1, 2]
    assert [bridge.peer for bridge in part_of(plan, 2).bridges] == [0]


def test_check_says_where_replicas_are_and_what_crosses() -> None:
    plan = plan_of(
        tiny("Load", num_segments=2), tiny("Pass", gpus=["1:0"]), tiny("Join", aggregate=2, gpus=["1:-1"])
    )
    text = describe(plan)
    assert "step 0.0: Load on node 0, GPU 0 (mapped to the CPU)" in text
    assert "step 2.0: Join on node 1, CPU" in text
    (crossing,) = crossings(plan)
    line = (
        f"frame queue 0 between steps 0 and 1, node 0 to node 1: up to {crossing.num_bytes:,} bytes a message"
    )
    assert line in text
    assert crossing.num_bytes == 6 * 2 * 4
    assert text.endswith(f"in all: up to {2 * crossing.num_bytes:,} bytes a request")
    assert "between nodes" not in describe(plan_of(tiny("Load"), tiny("Classify")))


def test_check_counts_what_crosses_for_a_request_in_segments() -> None:
    """Eleven rows of two floats in three segments of up to four, over the connections of two writers."""
    load = tiny("Load", num_segments=3, gpus=["0:0", "1:0"])
    plan = plan_of(load, tiny("Classify", gpus=["2:0"]), tiny("Join", aggregate=3, gpus=["2:-1"]))
    lines = describe(plan, sends_files=True).split("between nodes:\n")[1].splitlines()
    assert lines == [
        "  filename queue, node 0 to node 1: no tensors; the file of each request",
        "  frame queue 0 between steps 0 and 1, node 0 to node 2: up to 32 bytes a message, 10 slots there",
        "  frame queue 0 between steps 0 and 1, node 1 to node 2: up to 32 bytes a message, 10 slots there",
        "  in all: up to 96 bytes a request",
    ]


def test_a_request_crosses_by_one_of_several_queues() -> None:
    first = {"model": "tests.support.tiny_steps.Load", "queue_groups": [{"gpus": [0], "out_queues": [0, 1]}]}
    groups = [{"gpus": ["1:0"], "in_queue": 0}, {"gpus": ["2:0"], "in_queue": 1}]
    plan = plan_of(first, {"model": "tests.support.tiny_steps.Classify", "queue_groups": groups})
    assert len(crossings(plan)) == 2
    assert describe(plan).endswith(f"in all: up to {11 * 2 * 4} bytes a request")
