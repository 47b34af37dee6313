"""What serves for long: how often a replica is replaced, and that memory does not grow."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rnb.live.asking import Answer
from rnb.live.endurance import EARLY_S, FIRST_WAIT_S, MOST_EARLY_DEATHS, Endurance
from rnb.live.pipeline import Pipeline
from rnb.processes.replacement import NEVER
from tests.rnb.live.test_pipeline import ask, step
from tests.support.served import all_of, served, serving, serving_spec

MOST_GROWTH_BYTES = 6 << 20
"""Ten thousand requests that kept 1 KiB each would take more."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one element is the time."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_each_wait_is_twice_the_one_before_and_there_is_a_last(clock: list[float]) -> None:
    replica = Endurance()
    waits = [replica.wait_s(was_serving=False) for _ in range(MOST_EARLY_DEATHS)]
    assert waits == [0.0, FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S, NEVER]


def test_whoever_served_for_a_while_begins_anew(clock: list[float]) -> None:
    replica = Endurance()
    for _ in range(3 * MOST_EARLY_DEATHS):
        replica.begin()
        clock[0] += EARLY_S + 1
        assert replica.wait_s(was_serving=True) == 0.0
        assert replica.wait_s(was_serving=False) == FIRST_WAIT_S


def resident_bytes(pids: list[int]) -> int:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_requests_leave_memory_as_it_is(tmp_path: Path) -> None:
    async def serve(pipeline: Pipeline, num_rounds: int) -> None:
        for number in range(num_rounds):
            texts = [f"{number} {place}" + "x" * 1000 for place in range(100)]
            answers = await all_of(pipeline, [ask(text, trace_id="a" * 32) for text in texts])
            assert all(isinstance(one, Answer) for one in answers)
            assert [one.result[0] for one in answers if isinstance(one, Answer)] == [
                text.upper() for text in texts
            ]

    async def work() -> None:
        spec = serving_spec(tmp_path, [step("Read"), step("Shout")], batch_size=8)
        async with serving(spec, max_pending=100, logs=tmp_path / "logs", log_part=500) as pipeline:
            pids = [os.getpid(), *(one["pid"] for one in pipeline.replicas)]
            await serve(pipeline, 25)
            before = resident_bytes(pids)
            num_files = len(os.listdir("/proc/self/fd"))
            await serve(pipeline, 100)
            assert resident_bytes(pids) - before < MOST_GROWTH_BYTES
            assert len(os.listdir("/proc/self/fd")) <= num_files + 3
            assert pipeline.statistics()["pipeline"].success.count == 12_500

    served(work)
