"""A pipeline that serves: every request is answered, once and rightly, or told why not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from rnb.contract.result import ClassAndScore
from rnb.live.asking import Answer, Ask, NotServed, Why
from rnb.live.endurance import MOST_EARLY_DEATHS
from tests.support.running import tiny
from tests.support.served import all_of, served, serving, serving_spec, until


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


def test_a_full_pipeline_says_so_at_once_and_takes_requests_again_later(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [step("Read"), step("Shout", hold_s=1.0)]
        async with serving(serving_spec(tmp_path, steps), max_pending=3) as pipeline:
            inside = [asyncio.ensure_future(pipeline.serve(ask("hold"))) for _ in range(3)]
            await asyncio.sleep(0)
            (refused,) = await all_of(pipeline, [ask("one more")])
            assert why_of(refused) is Why.BUSY
            assert not any(one.done() for one in inside)
            assert [(await one).result[0] for one in inside] == ["HOLD"] * 3
            assert (await pipeline.serve(ask("later"))).result[0] == "LATER"

    served(work)


def test_a_deadline_beyond_what_the_clock_can_count_never_passes(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(serving_spec(tmp_path, [step("Read"), step("Shout")]), max_pending=1) as pipeline:
            for _ in range(2):
                answer = await pipeline.serve(ask("far", deadline_ns=time.monotonic_ns() + 2**63))
                assert answer.result[0] == "FAR"

    served(work)


def test_what_is_late_or_whose_asker_has_gone_is_not_worked_on(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [step("Read"), step("Shout", hold_s=1.0)]
        async with serving(serving_spec(tmp_path, steps), max_pending=10) as pipeline:
            first = asyncio.ensure_future(pipeline.serve(ask("hold")))
            await until(lambda: pipeline.queue_depths == [0, 0] and pipeline.num_pending == 1)
            soon_ns = time.monotonic_ns() + 100_000_000
            late = asyncio.ensure_future(pipeline.serve(ask("late", deadline_ns=soon_ns)))
            gone = asyncio.ensure_future(pipeline.serve(ask("gone")))
            fine = asyncio.ensure_future(pipeline.serve(ask("fine", deadline_ns=soon_ns + 60_000_000_000)))
            await asyncio.sleep(0.05)
            gone.cancel()
            with pytest.raises(NotServed, match="its deadline passed") as caught:
                await late
            assert caught.value.why is Why.LATE
            assert not first.done(), "it is told at its deadline, not when its turn comes"
            assert pipeline.num_pending == 4
            assert ((await first).result[0], (await fine).result[0]) == ("HOLD", "FINE")
            assert gone.cancelled()
            assert pipeline.num_pending == 0
            told = pipeline.statistics()
            assert (told["pipeline"].success.count, told["pipeline"].cancel.count) == (2, 2)
            assert (told["Shout-1"].inference_count, told["Shout-1"].cancel.count) == (2, 2)
            (past,) = await all_of(pipeline, [ask("too late", deadline_ns=time.monotonic_ns())])
            assert why_of(past) is Why.LATE

    served(work)


def test_a_replica_that_dies_fails_its_own_requests_alone_and_is_replaced(tmp_path: Path) -> None:
    warnings: list[str] = []

    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read"), step("Shout")])
        async with serving(spec, warnings.append, max_pending=100) as pipeline:
            for deadly in ("die", "die late"):
                asks = [ask(deadly if number == 5 else f"{number}") for number in range(20)]
                # What one has handed on and nobody has taken yet goes with it, so those are answered first.
                answers = [*await all_of(pipeline, asks[:5]), *await all_of(pipeline, asks[5:])]
                assert why_of(answers.pop(5)) is Why.FAILED
                assert [result_of(one)[0] for one in answers] == [str(n) for n in range(20) if n != 5]
                await until(lambda: pipeline.is_ready)

    served(work)
    assert [line.split(" (")[0] for line in warnings] == ["step 0.0", "step 1.0"]


def test_it_is_not_ready_while_a_step_has_no_replica(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(serving_spec(tmp_path, [step("Read", 2), step("Shout")])) as pipeline:
            await all_of(pipeline, [ask("die")])
            assert pipeline.is_ready, "another replica of the step is there"
            assert result_of((await all_of(pipeline, [ask("in between")]))[0])[0] == "IN BETWEEN"
            await all_of(pipeline, [ask("die late")])
            assert not pipeline.is_ready
            assert result_of((await all_of(pipeline, [ask("waits for the next one")]))[0])
            await until(lambda: pipeline.is_ready)

    served(work)


def test_a_replica_that_dies_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnb.live.endurance.FIRST_WAIT_S", 0.01)
    warnings: list[str] = []

    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read"), step("Shout")])
        async with serving(spec, warnings.append) as pipeline:
            for _ in range(MOST_EARLY_DEATHS):
                (answer,) = await all_of(pipeline, [ask("die")])
                assert why_of(answer) is Why.FAILED
            (answer,) = await all_of(pipeline, [ask("fine")])
            assert why_of(answer) is Why.FAILED
            assert "again and again" in str(answer)
            assert pipeline.failure == str(answer)
            assert not pipeline.is_ready

    served(work)
    assert sum("is given up" in line for line in warnings) == 1


READ_IN_TURNS = {
    "model": "tests.support.live_steps.Read",
    "queue_groups": [{"gpus": [0], "out_queues": [0, 1]}],
}
"""Every second request goes to queue 1."""
SHOUT_FROM_TWO = {
    "model": "tests.support.live_steps.Shout",
    "queue_groups": [{"gpus": [0], "in_queue": [1, 0]}, {"gpus": [0], "in_queue": 0}],
}


def test_a_queue_whose_only_reader_is_given_up_ends_it_though_another_reads_the_other_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnb.live.endurance.FIRST_WAIT_S", 0.01)

    async def work() -> None:
        async with serving(serving_spec(tmp_path, [READ_IN_TURNS, SHOUT_FROM_TWO])) as pipeline:
            texts = [f"text {number}" for number in range(40)]
            answers = await all_of(pipeline, [ask(text) for text in texts])
            assert [result_of(one)[0] for one in answers] == [text.upper() for text in texts]
            assert len({result_of(one)[2] for one in answers[1::2]}) == 1, "whoever reads queue 1"
            for _ in range(MOST_EARLY_DEATHS):
                assert pipeline.failure == ""
                (answer,) = await all_of(pipeline, [ask("for queue 0")])
                assert result_of(answer)[0] == "FOR QUEUE 0"
                (answer,) = await all_of(pipeline, [ask("die late")])
                assert why_of(answer) is Why.FAILED
            await until(lambda: pipeline.failure != "")
            assert "again and again" in pipeline.failure

    served(work)


def test_with_too_little_grace_the_rest_is_told_so(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(serving_spec(tmp_path, [step("Read", seconds=30)])) as pipeline:
            asked = asyncio.ensure_future(all_of(pipeline, [ask("slow")] * 2))
            await until(lambda: pipeline.num_pending == 2)
            assert not await pipeline.drain(0.2)
            assert [why_of(one) for one in await asked] == [Why.CLOSED] * 2

    served(work)


def test_a_replica_that_is_worn_is_replaced_without_a_loss(tmp_path: Path) -> None:
    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read"), step("Shout", recycle_after=10)])
        async with serving(spec) as pipeline:
            pids = set[int]()
            while len(pids) < 3:
                answers = await all_of(pipeline, [ask(f"{number}") for number in range(20)])
                pids |= {result_of(one)[2] for one in answers}
            assert pipeline.failure == ""
            await until(lambda: not pipeline._away)
            supervised = [child.name for child in pipeline._driver._supervisor.children]
            assert sorted(supervised) == ["step 0.0", "step 1.0"], "those before are forgotten"

    served(work)
