"""What a pipeline with a stateful step must be like."""

from __future__ import annotations

from typing import Any

import pytest

from rnb.pipeline.config import ConfigError, parse_config
from rnb.pipeline.plan import Plan, PlanOptions, make_plan

LOAD, PASS = "tests.support.tiny_steps.Load", "tests.support.tiny_steps.Pass"
STATEFUL = "tests.support.sequence_steps.Positions"


def plan(*steps: dict[str, Any]) -> Plan:
    return make_plan(parse_config({"pipeline": list(steps)}), PlanOptions(mode="cpu"))


def step(model: str, **options: Any) -> dict[str, Any]:
    return {"model": model, "gpus": [0], **options}


def test_every_queue_up_to_the_stateful_step_keeps_sequences_together() -> None:
    made = plan(step(LOAD, gpus=[0, 0]), step(STATEFUL, gpus=[0, 1, 0]), step(PASS))
    assert [queue.keeps_sequences for queue in made.queues] == [True, True, False]
    assert [replica.readers for replica in made.replicas] == [(0,), (1,), (0,), (1,), (2,), (0,)]
    assert {replica.workers for replica in made.replicas[:5]} == {1}


def test_without_one_nothing_changes() -> None:
    made = plan(step(LOAD, gpus=[0, 0], workers=3), step(PASS))
    assert [queue.keeps_sequences for queue in made.queues] == [False, False]
    assert made.replicas[0].workers == 3


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([step(LOAD, workers=2), step(STATEFUL)], r"pipeline\[0\].*workers: 2: .* have more replicas"),
        ([step(LOAD), step(STATEFUL, workers=2)], r"pipeline\[1\].*workers: 2: .* have more replicas"),
        ([step(LOAD, num_segments=2), step(STATEFUL)], r"pipeline\[0\]: .*pack or split"),
        ([step(LOAD), step("batcher.Batcher", batch=2), step(STATEFUL)], r"pipeline\[1\]: .*pack or split"),
    ],
)
def test_what_would_take_a_sequence_apart_is_refused(steps: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plan(*steps)


def test_a_choice_of_queues_before_it_is_refused() -> None:
    groups = [{"gpus": [0], "out_queues": [0, 1]}]
    readers = [{"gpus": [0], "in_queue": queue} for queue in (0, 1)]
    first = {"model": LOAD, "queue_groups": groups}
    with pytest.raises(ConfigError, match="2 output queues: Positions takes the requests of a sequence"):
        plan(first, {"model": STATEFUL, "queue_groups": readers})
    with pytest.raises(ConfigError, match="2 output queues: Positions takes the requests of a sequence"):
        plan(first, {"model": STATEFUL, "queue_groups": [{"gpus": [0, 0], "in_queue": [1, 0]}]})
