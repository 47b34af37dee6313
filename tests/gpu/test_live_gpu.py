"""Pipelines on a GPU that serve, and whose replicas die."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from rnb.live.asking import Answer, Ask, NotServed, Why
from tests.gpu.test_jobs_gpu import step
from tests.support.served import all_of, served, serving, serving_spec, until

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(400)]

NUM_ROWS = 50


@pytest.mark.parametrize("num_makers", [1, 2])
@pytest.mark.parametrize("dies", [0, 1])
def test_slots_of_a_replica_that_died_are_made_anew(tmp_path: Path, num_makers: int, dies: int) -> None:
    """Check looks whether each has its own rows, and ends its process where it has not."""
    deadly = step("Make", at_request=20, gpus=[0] * num_makers)
    steps = [deadly, step("Check")] if dies == 0 else [step("Make"), deadly, step("Check")]
    spec = serving_spec(tmp_path, steps, device="cuda", mps="off")

    async def work() -> None:
        async with serving(spec, max_pending=NUM_ROWS) as pipeline:
            asks = [Ask(payload=str(tmp_path / "videos" / "0.mp4"))] * NUM_ROWS
            first = await all_of(pipeline, asks)
            assert Counter(one.why for one in first if isinstance(one, NotServed)).keys() == {Why.FAILED}
            await asyncio.wait_for(until(lambda: pipeline.is_ready and not pipeline._away), 200)
            for generation in range(1, 4):
                answers = await all_of(pipeline, asks)
                assert all(isinstance(one, Answer) for one in answers), answers
                ids = sorted(one.result for one in answers if isinstance(one, Answer))
                assert ids[-1] >= generation * NUM_ROWS
                assert len(set(ids)) == NUM_ROWS

    served(work, patience_s=350)
