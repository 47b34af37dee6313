"""Configs: both dialects give the same model, and each mistake one clear line."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from rnb.contract.options import Count
from rnb.pipeline.config import ConfigError, first_problem, parse_config, read_config, unknown_option

LOAD, RUN = {"model": "a.Load"}, {"model": "a.Run"}


def groups(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"queue_groups": list(entries)}


def two_steps(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {"pipeline": [{**LOAD, **first}, {**RUN, **second}]}


def test_a_list_of_steps_is_queue_groups_with_one_queue() -> None:
    short = parse_config([{**LOAD, "gpus": [0]}, {**RUN, "gpus": [0, 0, 1], "start_index": 1}])
    written_out = two_steps(
        groups({"gpus": [0], "out_queues": [0]}),
        {**groups({"gpus": [0, 0, 1], "in_queue": 0}), "start_index": 1},
    )
    assert short == parse_config(written_out)
    assert short.pipeline[1].options == {"start_index": 1}


def test_the_short_form_works_inside_an_object_too() -> None:
    steps = [{**LOAD, "gpus": [0]}]
    assert (
        parse_config({"video_path_iterator": "a.Paths", "pipeline": steps}).video_path_iterator == "a.Paths"
    )
    assert parse_config({"pipeline": steps}) == parse_config(steps)


def test_per_gpu_queues_are_a_group_per_gpu() -> None:
    config = parse_config([{**LOAD, "gpus": [1, 0]}, {**RUN, "gpus": [0, 1, 1]}], per_gpu_queue=True)
    assert [(group.gpus, group.in_queue, group.out_queues) for group in config.pipeline[0].queue_groups] == [
        ([0], None, [0]),
        ([1], None, [1]),
    ]
    assert [(group.gpus, group.in_queue) for group in config.pipeline[1].queue_groups] == [
        ([0], [0]),
        ([1, 1], [1]),
    ]


def test_options_of_a_group_stay_with_the_group() -> None:
    config = parse_config({"pipeline": [{**LOAD, **groups({"gpus": [0], "batch": 3}), "width": 5}]})
    assert config.pipeline[0].options == {"width": 5}
    assert config.pipeline[0].queue_groups[0].options == {"batch": 3}


ONE_IN = groups({"gpus": [0], "in_queue": 0})
ONE_OUT = groups({"gpus": [0], "out_queues": [0]})


def reading(queues: Any) -> dict[str, Any]:
    """A replica that reads these of two queues, and one that reads the first."""
    readers = groups({"gpus": [0], "in_queue": queues}, {"gpus": [1], "in_queue": 0})
    return two_steps(groups({"gpus": [0], "out_queues": [0, 1]}), readers)


def test_a_replica_reads_one_queue_or_several_in_an_order() -> None:
    several, one = parse_config(reading([1, 0])).pipeline[1].queue_groups
    assert (several.in_queues, one.in_queues) == ([1, 0], [0])
    assert [group.model_dump(exclude_unset=True) for group in (several, one)] == [
        {"gpus": [0], "in_queue": [1, 0]},
        {"gpus": [1], "in_queue": 0},
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("x", '"x": must be a list of steps'),
        ({}, "pipeline: missing"),
        ({"pipeline": []}, r"pipeline: \[\]: list should have at least 1 item"),
        (
            {"pipelin": [], "pipeline": [{**LOAD, "gpus": [0]}]},
            "config.pipelin: unknown key; did you mean 'pipeline'?",
        ),
        ([{"gpus": [0]}], r"pipeline\[0\].model: missing"),
        ([LOAD], r"pipeline\[0\].queue_groups: missing"),
        ([{**LOAD, "gpus": []}], r"queue_groups\[0\].gpus: \[\]: list should have at least 1"),
        ([{**LOAD, "gpus": [-2]}], r"gpus\[0\]: -2: input should be greater than or equal to -1"),
        ([{**LOAD, "gpus": ["0"]}], r"gpus: '0': must be a GPU's number or"),
        ([{**LOAD, "gpus": [True]}], r"gpus\[0\]: true: input should be a valid integer"),
        ([{**LOAD, "gpus": 0}], r"gpus: 0: input should be a valid list"),
        ([{**LOAD, "gpus": [0], **ONE_OUT}], r"pipeline\[0\].gpus: the step has 'queue_groups' too"),
        ([{**LOAD, "gpus": [0], "num_segments": 2}], r"pipeline\[0\].num_segments: the last step"),
        (
            [{**LOAD, "gpus": [0], "num_shared_tensors": 2}],
            r"pipeline\[0\].num_shared_tensors: the last step",
        ),
        (
            [{**LOAD, "gpus": [0], "workers": 0}, {**RUN, "gpus": [0]}],
            r"pipeline\[0\].workers: 0: input should be gr",
        ),
        (two_steps(ONE_IN, ONE_IN), r"queue_groups\[0\].in_queue: \[0\]: the step reads the filename queue"),
        (two_steps(ONE_OUT, groups({"gpus": [0]})), r"pipeline\[1\].queue_groups\[0\].in_queue: missing"),
        (two_steps(groups({"gpus": [0]}), ONE_IN), r"pipeline\[0\].queue_groups\[0\].out_queues: missing"),
        (
            two_steps(groups({"gpus": [0], "out_queues": [0, 1]}), ONE_IN),
            r"pipeline\[0\]: its out_queues \[0, 1\] must be the in_queues of pipeline\[1\], \[0\]",
        ),
        (two_steps(groups({"gpus": [0], "out_queues": [0, 0]}), ONE_IN), "a queue is named twice"),
        (reading([1, 1]), r"pipeline\[1\].queue_groups\[0\].in_queue: \[1, 1\]: a queue is named twice"),
        (reading([]), r"pipeline\[1\].queue_groups\[0\].in_queue: \[\]: list should have at least 1 item"),
        (reading([1, "x"]), r"queue_groups\[0\].in_queue\[1\]: \"x\": input should be a valid integer"),
        (reading(-1), r"queue_groups\[0\].in_queue\[0\]: -1: input should be greater than or equal to 0"),
        (
            reading([1, 2]),
            r"pipeline\[0\]: its out_queues \[0, 1\] must be the in_queues of pipeline\[1\], \[0, 1, 2\]",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(config: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parse_config(config)
    assert "\n" not in str(error.value)


def test_per_gpu_queues_need_the_same_gpus_everywhere() -> None:
    with pytest.raises(ConfigError, match=r"pipeline\[1\].gpus: \[0\]: -p needs the same GPUs in all steps"):
        parse_config([{**LOAD, "gpus": [0, 1]}, {**RUN, "gpus": [0]}], per_gpu_queue=True)
    with pytest.raises(ConfigError, match="-p needs 'gpus' in each step"):
        parse_config(two_steps(ONE_OUT, ONE_IN), per_gpu_queue=True)


def test_a_file_that_is_missing_or_not_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: No such file"):
        read_config(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[{]")
    with pytest.raises(ConfigError, match=r"bad\.json: not JSON: .* line 1 column 3"):
        read_config(tmp_path / "bad.json")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(ConfigError, match=r"deep\.json: not JSON: "):
        read_config(tmp_path / "deep.json")


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text('[{"model": "a.Load", "gpus": [0], "gpus": [1]}]')
    with pytest.raises(ConfigError, match=r"twice\.json: key 'gpus' stands twice in an object$"):
        read_config(path)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    path.write_text(json.dumps([{**LOAD, "gpus": [0]}, {**RUN, "gpus": [0]}]))
    file = read_config(path)
    path.unlink()
    assert (file.path, file.name) == (str(path), "good.json")
    assert file.pipeline().pipeline[0].model == "a.Load"
    per_gpu = file.pipeline(per_gpu_queue=True)
    assert per_gpu == file.pipeline()  # of one GPU
    assert file.data == [{**LOAD, "gpus": [0]}, {**RUN, "gpus": [0]}]


def test_an_unknown_key_says_what_it_may_be() -> None:
    error = unknown_option("pipeline[1]", "wdith", ["width", "batch"])
    assert str(error) == ("pipeline[1].wdith: unknown key; did you mean 'width'? It may be: batch, width")
    elsewhere = unknown_option("pipeline[1]", "nodes", ["nodes", "width"])
    assert str(elsewhere) == "pipeline[1].nodes: unknown key. It may be: width"
    assert str(unknown_option("pipeline[1]", "x", [])) == "pipeline[1].x: unknown key. It may be: none"


class Inner(BaseModel):
    width: Count


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: list[Inner]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"inner": [{"width": 0}]}, ("inner[0].width", "0: input should be greater than or equal to 1")),
        ({"inner": [{}]}, ("inner[0].width", "missing")),
        ({"iner": []}, ("iner", "[]: extra inputs are not permitted")),
    ],
)
def test_of_several_problems_the_one_that_explains_the_others(given: Any, problem: tuple[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    place, _, message = first_problem(caught.value)
    assert (place, message) == problem
