"""When workers look often at their queues instead of sleeping."""

from __future__ import annotations

from rnb.pipeline.config import parse_config
from rnb.pipeline.plan import PlanOptions, make_plan
from rnb.processes.replicas import POLLING_S, polling_s


def test_workers_look_often_for_messages_only_where_each_has_a_core() -> None:
    tiny = "tests.support.tiny_steps"
    config = [
        {"model": f"{tiny}.Load", "gpus": [0, 0]},
        {"model": f"{tiny}.Classify", "gpus": [0], "workers": 3},
    ]
    plan = make_plan(parse_config(config), PlanOptions(mode="cpu"))
    assert polling_s(plan, num_clients=2, num_cpus=8) == POLLING_S
    assert polling_s(plan, num_clients=2, num_cpus=7) == 0
