"""A pipeline that serves: every request is answered, once and rightly, or told why not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rnb.contract.result import ClassAndScore
from rnb.live.asking import Answer, Ask, NotServed, Why
from tests.support.running import tiny
from tests.support.served import all_of, served, serving, serving_spec


def step(name: str, num_replicas: int = 1, **options: Any) -> dict[str, Any]:
    return {"model": f"tests.support.live_steps.{name}", "gpus": [0] * num_replicas, **options}


def ask(text: str, **more: Any) -> Ask:
    return Ask(payload=text.encode(), **more)


def result_of(answer: Answer | NotServed) -> Any:
    assert isinstance(answer, Answer), answer
    return answer.result


def why_of(answer: Answer | NotServed) -> Why:
    assert isinstance(answer, NotServed), answer
    return answer.why


def test_each_is_answered_with_its_own_result(tmp_path: Path) -> None:
    spec = serving_spec(tmp_path, [step("Read", 2), step("Shout", 2)], batch_size=4)

    async def work() -> None:
        async with serving(spec, max_pending=50) as pipeline:
            assert pipeline.is_ready
            texts = [f"text {number}" for number in range(50)]
            for _ in range(3):
                answers = await all_of(pipeline, [ask(text) for text in texts])
                assert [result_of(one)[0] for one in answers] == [text.upper() for text in texts]
            assert pipeline.num_pending == 0
            whole = pipeline.statistics()["pipeline"]
            last = pipeline.statistics()["Shout-1"]
            assert (whole.inference_count, last.inference_count, last.queue.count) == (150, 150, 150)
            assert last.execution_count < 150, "calls of several requests"
            assert sum(pipeline.histograms()["Read-0"].counts) == 150
            in_parts = last.queue.ns + last.compute_input.ns + last.compute_infer.ns + last.compute_output.ns
            assert in_parts == last.success.ns
            assert [one.name for one in pipeline.steps] == ["Read-0", "Shout-1"]
            assert [one.max_batch_size for one in pipeline.steps] == [1, 4]
        assert not pipeline.is_ready

    served(work)


def test_a_bad_request_fails_alone_and_says_nothing_of_the_file(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(serving_spec(tmp_path, [step("Read"), step("Shout")])) as pipeline:
            answers = await all_of(pipeline, [ask("one"), ask("bad"), ask("two")])
            assert [result_of(answers[0])[0], result_of(answers[2])[0]] == ["ONE", "TWO"]
            assert why_of(answers[1]) is Why.BAD
            assert str(answers[1]) == "the request: it is bad"
            assert pipeline.statistics()["Read-0"].fail.count == 1

    served(work)


def test_clips_in_segments_and_in_batches_meet_again(tmp_path: Path) -> None:
    steps = [tiny("Load", num_segments=3), tiny("Classify", gpus=[0, 0]), tiny("Join", aggregate=3)]
    packed = [tiny("Load"), {"model": "rnb.pipeline.batcher.Batcher", "gpus": [0], "batch": 3}]

    async def work(steps: list[Any]) -> None:
        async with serving(serving_spec(tmp_path, steps, batch_size=2), max_pending=20) as pipeline:
            for _ in range(2):
                answers = await all_of(pipeline, [Ask(payload="video")] * 20)
                labels = [result_of(one) for one in answers]
                assert all(isinstance(label, ClassAndScore) for label in labels)
            whole = pipeline.statistics()["pipeline"]
            assert (whole.success.count, whole.fail.count) == (40, 0)

    served(lambda: work(steps))
    served(lambda: work([*packed, tiny("Classify")]))


def test_at_the_end_what_was_taken_is_answered_and_nothing_new_is_taken(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(serving_spec(tmp_path, [step("Read", seconds=0.02), step("Shout")])) as pipeline:
            asked = [asyncio.ensure_future(pipeline.serve(ask(f"{number}"))) for number in range(20)]
            await asyncio.sleep(0)
            assert pipeline.num_pending == 20
            draining = asyncio.ensure_future(pipeline.drain(60))
            await asyncio.sleep(0)
            assert not pipeline.is_ready
            (refused,) = await all_of(pipeline, [ask("late")])
            assert why_of(refused) is Why.CLOSED
            assert await draining
            assert [(await one).result[0] for one in asked] == [str(number) for number in range(20)]

    served(work)
