"""A config on other numbers of GPUs."""

from __future__ import annotations

import pytest

from rnb.contract.termination import UsageError
from rnb.pipeline.config import read_config
from rnb.planner.scaling import gpus_of, on_gpus
from rnb.spec import Placement, RunSpec, plan_of
from tests.support.known_times import spec_of, step


def placed(spec: RunSpec, step: int) -> list[list[int]]:
    groups = spec.config.pipeline().pipeline[step].queue_groups
    return [list(group.gpus) for group in groups]


def test_each_gpu_has_what_those_of_the_config_have_in_turn() -> None:
    spec = spec_of({**step("Source"), "gpus": [0, 1, 1]}, {**step("Change"), "gpus": [0, 1, -1]})
    more = on_gpus(spec, 5)
    assert placed(more, 0) == [[0, 1, 1, 2, 3, 3, 4]]
    assert placed(more, 1) == [[0, 1, 2, 3, 4, -1, -1, -1]]
    assert placed(on_gpus(spec, 1), 0) == [[0]]
    assert on_gpus(spec, 2) is spec


def test_queues_stay_and_share_the_gpus() -> None:
    per_gpu = {
        "queue_groups": [{"gpus": [gpu], "in_queue": gpu} for gpu in (0, 1)],
        "model": "tests.support.timed_steps.Change",
    }
    first = {
        "queue_groups": [{"gpus": [gpu], "out_queues": [gpu]} for gpu in (0, 1)],
        "model": "tests.support.timed_steps.Source",
    }
    more = on_gpus(spec_of(first, per_gpu), 4)
    assert placed(more, 0) == placed(more, 1) == [[0, 2], [1, 3]]
    assert len(plan_of(more, num_requests=1).queues) == 3


def test_a_step_that_joins_segments_stays_one() -> None:
    spec = spec_of({**step("Source"), "num_segments": 2}, step("ChangeOne"), step("Join"))
    more = on_gpus(spec, 3)
    assert [placed(more, number) for number in range(3)] == [[[0, 1, 2]], [[0, 1, 2]], [[0]]]


@pytest.mark.parametrize("name", ["r2p1d-per-gpu", "r2p1d-segment", "r2p1d-aggressive"])
def test_a_config_of_rnb_grows(name: str) -> None:
    spec = RunSpec(config=read_config(f"config/{name}.json"), placement=Placement(device="cpu"))
    more = on_gpus(spec, 16)
    assert gpus_of(more) == list(range(16))
    assert plan_of(more, num_requests=1).num_steps == plan_of(spec, num_requests=1).num_steps


def test_a_config_without_gpus_does_not() -> None:
    with pytest.raises(UsageError, match="has no replica on a GPU"):
        on_gpus(spec_of({**step("Change"), "gpus": [-1]}), 2)
