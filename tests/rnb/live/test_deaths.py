"""Replicas that are killed while much is under way: nothing is lost for good, and nothing mixed up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from rnb.live.asking import Answer, Ask, NotServed, Why
from rnb.live.pipeline import Pipeline
from tests.rnb.live.test_pipeline import ask, result_of, step, why_of
from tests.support.running import tiny
from tests.support.served import all_of, served, serving, serving_spec, until


def kill(pipeline: Pipeline, step: int) -> None:
    """Kill the process that the first replica of a step had at the start."""
    pid = next(one["pid"] for one in pipeline.replicas if one["step"] == step)
    os.kill(pid, signal.SIGKILL)


def check(answers: list[Answer | NotServed]) -> int:
    """All have an answer, and those that have none failed through no fault of theirs; how many."""
    assert {one.why for one in answers if isinstance(one, NotServed)} <= {Why.FAILED}
    return sum(isinstance(one, NotServed) for one in answers)


def test_segments_of_what_was_lost_do_not_meet_those_of_others(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [
            tiny("Load", num_segments=3),
            tiny("Classify", gpus=[0, 0], busy_ms=20),
            tiny("Join", aggregate=3),
        ]
        async with serving(serving_spec(tmp_path, steps), max_pending=15) as pipeline:
            for killed in (1, 0, 2):
                asked = [asyncio.ensure_future(pipeline.serve(Ask(payload="video"))) for _ in range(15)]
                await until(lambda: 4 < pipeline.num_pending < 13)
                kill(pipeline, killed)
                answers = await asyncio.gather(*asked, return_exceptions=True)
                assert all(isinstance(one, Answer | NotServed) for one in answers)
                assert check(answers) < 15  # type: ignore[arg-type]
                await until(lambda: pipeline.is_ready and pipeline.num_pending == 0)
                # Join looks whether each has all of its own rows, and ends its process where it has not.
                again = await all_of(pipeline, [Ask(payload="video")] * 15)
                assert check(again) == 0

    served(work)


def test_packed_requests_and_slots_survive(tmp_path: Path) -> None:
    async def work() -> None:
        batcher = {"model": "rnb.pipeline.batcher.Batcher", "gpus": [0], "batch": 3}
        steps = [tiny("Load", num_shared_tensors=3), batcher, tiny("Classify", busy_ms=20)]
        async with serving(serving_spec(tmp_path, steps), max_pending=30) as pipeline:
            for killed in (2, 0, 1):
                asked = [asyncio.ensure_future(pipeline.serve(Ask(payload="video"))) for _ in range(30)]
                await until(lambda: 10 < pipeline.num_pending < 25)
                for one in asked[-6:]:
                    one.cancel()
                kill(pipeline, killed)
                answers = await asyncio.gather(*asked[:-6], return_exceptions=True)
                assert all(isinstance(one, Answer | NotServed) for one in answers)
                await until(lambda: pipeline.is_ready and pipeline.num_pending == 0)
                # More than there are slots: none of them is missing.
                assert check(await all_of(pipeline, [Ask(payload="video")] * 30)) == 0

    served(work)


def test_sequences_stay_in_order_and_end_with_their_replica(tmp_path: Path) -> None:
    def parameters(sequence: str, position: int, last: int = 4) -> dict[str, object]:
        return {
            "sequence_id": sequence,
            "sequence_start": position == 0,
            "sequence_end": position == last,
            "sequence_position": position,
        }

    async def play(pipeline: Pipeline, names: list[str], positions: range) -> list[Answer | NotServed]:
        asks = [ask("frame", parameters=parameters(name, at)) for at in positions for name in names]
        return await all_of(pipeline, asks)

    async def work() -> None:
        positions = {"model": "tests.support.sequence_steps.Positions", "gpus": [0, 0]}
        spec = serving_spec(tmp_path, [step("Read"), positions], batch_size=4)
        async with serving(spec) as pipeline:
            assert [one.is_stateful for one in pipeline.steps] == [False, True]
            names = [f"sequence {number}" for number in range(8)]
            answers = await play(pipeline, names, range(5))
            seen = Counter(len(result_of(one)["seen"]) for one in answers)
            assert seen == dict.fromkeys(range(1, 6), 8)
            assert all(result_of(one)["seen"] == list(range(len(result_of(one)["seen"]))) for one in answers)
            misused = await play(pipeline, names[:1], range(3, 4))
            assert why_of(misused[0]) is Why.BAD
            assert str(misused[0]) == "sequence sequence 0: it has ended"
            await play(pipeline, names, range(2))
            kill(pipeline, 1)
            await until(lambda: len(pipeline._away) == 1)
            await until(lambda: not pipeline._away)
            rest = await play(pipeline, names, range(2, 5))
            lost = [one for one in rest if isinstance(one, NotServed)]
            assert 0 < len(lost) < len(rest), "those of the other replica go on"
            assert {one.why for one in lost} == {Why.BAD}
            assert "or its state went with a replica that died" in str(lost[0])
            for wrong in ({"sequence_id": 1.5}, {"sequence_id": 1, "sequence_start": "yes"}, {}):
                (answer,) = await all_of(pipeline, [ask("frame", parameters=wrong)])
                assert why_of(answer) is Why.BAD

    served(work)
