"""A server's model in the place of a pipeline."""

from __future__ import annotations

from rnb.pipeline.served_model import server_plan


def test_a_plan_has_a_step_and_nothing_of_its_own() -> None:
    plan = server_plan("net.v2")
    assert (plan.step_names, plan.replicas, plan.queues, plan.gpus) == (("net.v2",), [], [], [])
    names = [event.name for event in plan.events]
    assert names == ["scheduled", "enqueue_filename", "answer0_start", "inference0_finish"]
