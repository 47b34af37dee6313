"""How a config says where its replicas are."""

from __future__ import annotations

from typing import Any

import pytest

from rnb.pipeline.config import ConfigError, parse_config

NOTHING = "models.nothing.model.Nothing"


def places(step: dict[str, Any], num_nodes: int = 1) -> list[tuple[int, int]]:
    config = parse_config([{"model": NOTHING, **step}], num_nodes=num_nodes)
    return [place for group in config.pipeline[0].queue_groups for place in group.places]


def test_a_number_is_a_gpu_of_the_drivers_node() -> None:
    assert places({"gpus": [0, 3, -1]}) == [(0, 0), (0, 3), (0, -1)]


def test_a_text_names_the_node_too() -> None:
    assert places({"gpus": ["0:0", "1:3", 2, "12:-1"]}) == [(0, 0), (1, 3), (0, 2), (12, -1)]
    assert places({"queue_groups": [{"gpus": [1]}, {"gpus": ["1:0"]}]}) == [(0, 1), (1, 0)]


def test_spread_puts_the_same_on_every_node() -> None:
    step = {"gpus": [0, 0, 1], "spread": True}
    assert places(step) == [(0, 0), (0, 0), (0, 1)]
    assert places(step, 3) == [(node, gpu) for node in range(3) for gpu in (0, 0, 1)]
    assert places({"gpus": [0], "spread": False}, 3) == [(0, 0)]


@pytest.mark.parametrize("step", [{"gpus": ["0:1", 2]}, {"gpus": [1, 2], "spread": True}])
def test_one_node_leaves_no_trace_in_what_is_written_again(step: dict[str, Any]) -> None:
    config = parse_config([{"model": NOTHING, **step}])
    (again,) = parse_config(config.model_dump(exclude_unset=True, mode="json")).pipeline
    assert [group.places for group in again.queue_groups] == [[(0, 1), (0, 2)]]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"gpus": ["1"]}, "pipeline[0].queue_groups[0]: gpus: '1': must be a GPU's number or \"node:GPU\""),
        ({"gpus": ["1:-2"]}, "'1:-2': must be"),
        ({"gpus": ["a:0"]}, "'a:0': must be"),
        ({"gpus": ["1:0"], "spread": True}, "spread: the replicas of ['1:0'] have their nodes already"),
        ({"gpus": [0], "spread": 2}, "spread: 2: must be true or false"),
        ({"queue_groups": [{"gpus": [0], "nodes": [1]}]}, 'nodes: name them in gpus, as "node:GPU"'),
        ({"gpus": [-2]}, "-2: input should be greater than or equal to -1"),
    ],
)
def test_what_is_no_place_is_one_line(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        places(step, 2)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
