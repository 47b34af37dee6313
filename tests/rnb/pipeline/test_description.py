"""A plan in words."""

import re
from typing import Any

from rnb.pipeline.config import parse_config
from rnb.pipeline.description import describe
from rnb.pipeline.plan import PlanOptions, make_plan

TINY = "tests.support.tiny_steps"


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"model": f"{TINY}.{name}", "gpus": [0], **options}


def description_of(config: Any, **flags: Any) -> str:
    flags = {"mode": "cpu", "queue_capacity": 7, **flags}
    return describe(make_plan(parse_config(config), PlanOptions(**flags)))


def test_the_description_names_processes_queues_and_bytes() -> None:
    text = description_of([step("Load", gpus=[1]), step("Classify", workers=2)], batch_size=4)
    assert "1 driver, 1 client, 2 runners" in text
    assert "step 0.0: Load on GPU 1 (mapped to the CPU): filename queue -> frame queue 0" in text
    assert "step 1.0: Classify on GPU 0 (mapped to the CPU), 2 workers, batches of 4" in text
    assert "filename queue: 7 messages, 1 writers, 1 readers" in text
    assert re.search(r"step 0.0: 10 of 11x2 float32 on cpu, 5,120 bytes\n  in all: 5,120 bytes$", text)


def test_what_differs_from_the_usual_is_told() -> None:
    pipeline = [step("Load"), step("Classify", gpus=[-1], max_clips=22)]
    text = description_of(pipeline, num_clients=3, mode="cuda")
    assert "1 driver, 3 clients, 2 runners" in text
    assert "step 0.0: Load on GPU 0: filename queue" in text
    assert (
        "step 1.0: Classify on CPU, batches of 22 clips: frame queue 0 between steps 0 and 1 -> run folder"
        in text
    )
    assert "10 of 11x2 float32 on cuda:0, 5,120 bytes" in text


def test_several_queues_are_named_in_their_order() -> None:
    load = {"model": f"{TINY}.Load", "queue_groups": [{"gpus": [0], "out_queues": [0, 1]}]}
    groups = [{"gpus": [0], "in_queue": [1, 0]}]
    text = description_of({"pipeline": [load, {"model": f"{TINY}.Classify", "queue_groups": groups}]})
    assert "frame queue 1 between steps 0 and 1, else frame queue 0 between steps 0 and 1 -> run f" in text


def test_a_slot_names_all_its_tensors() -> None:
    text = description_of([step("LoadTwo"), step("CheckTwo")])
    assert "step 0.0: 10 of 11x2 float32 + 22x4 int32 on cpu, 10,240 bytes" in text


def test_a_pipeline_without_tensors_has_no_slots() -> None:
    assert description_of([step("Nothing")]).endswith("slots:\n  in all: 0 bytes")
