"""Who made the tail: on runs whose slow requests are slow for a known reason."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from rnb.analysis.tail import attribute_tail
from rnb.contract.events import Stage, StageKind
from tests.support.timed_runs import QUIET_MS, timed_run


def durations(num_requests: int, slow: Mapping[str, float], num_slow: int) -> dict[str, NDArray[np.float64]]:
    """Quiet requests, each a little slower than the one before; the last `num_slow` are held up."""
    found = {event: np.full(num_requests, duration) for event, duration in QUIET_MS.items()}
    found["inference1_finish"] = found["inference1_finish"] + np.linspace(0, 1e-3, num_requests)
    for event, duration in slow.items():
        found[event][-num_slow:] += duration
    return found


def test_each_stage_has_its_share_of_the_difference() -> None:
    slow = {"runner1_start": 60.0, "inference0_finish": 30.0, "handoff0_finish": 8.0, "slot0_finish": 2.0}
    tail = attribute_tail(timed_run(durations(1000, slow, num_slow=10)))
    assert tail is not None
    assert (tail.num_slowest, tail.num_median) == (10, 100)
    shares = {stage.stage.title(["A", "B"]): stage.share for stage in tail.stages}
    assert shares == {
        "lateness of the client": pytest.approx(0, abs=1e-4),
        "wait for step 0": pytest.approx(0, abs=1e-4),
        "gather for step 0": pytest.approx(0, abs=1e-4),
        "step 0 A": pytest.approx(0.3, abs=1e-4),
        "slot for step 0": pytest.approx(0.02, abs=1e-4),
        "hand-off after step 0": pytest.approx(0.08, abs=1e-4),
        "wait for step 1": pytest.approx(0.6, abs=1e-4),
        "gather for step 1": pytest.approx(0, abs=1e-4),
        "step 1 B": pytest.approx(0, abs=1e-4),
    }
    wait = next(stage for stage in tail.stages if stage.stage == Stage(StageKind.WAIT, 1))
    assert (wait.median_ms, wait.slowest_ms, wait.difference_ms) == pytest.approx((2, 62, 60))


def test_the_stages_add_up_to_the_latency_whatever_it_is_made_of() -> None:
    draw = np.random.default_rng(3)
    stages = {event: draw.exponential(duration, 5000) for event, duration in QUIET_MS.items()}
    tail = attribute_tail(timed_run(stages))
    assert tail is not None
    assert sum(stage.share for stage in tail.stages) == pytest.approx(1)
    latency_ms = np.sort(sum(stages.values()))
    assert tail.slowest_ms == pytest.approx(latency_ms[-50:].mean())
    assert tail.median_ms == pytest.approx(latency_ms[2250:2750].mean())
    assert tail.threshold_ms == pytest.approx(latency_ms[-50])


def test_requests_that_do_not_count_do_not_make_the_tail() -> None:
    stages = durations(1000, {"runner0_start": 500.0}, num_slow=100)
    is_slow = stages["runner0_start"] > 100
    for columns in (
        {"is_warmup": is_slow},
        {"status": np.where(is_slow, "failed", "finished").astype(object)},
    ):
        tail = attribute_tail(timed_run(stages, columns=columns))
        assert tail is not None
        assert tail.slowest_ms < 20


@pytest.mark.parametrize(("num_requests", "is_told"), [(661, False), (662, True)])
def test_too_few_requests_tell_nothing(num_requests: int, is_told: bool) -> None:
    run = timed_run(durations(num_requests, {"runner0_start": 50.0}, num_slow=7))
    assert (attribute_tail(run) is not None) == is_told


def test_without_a_difference_there_is_nothing_to_tell() -> None:
    assert attribute_tail(timed_run({event: np.full(1000, ms) for event, ms in QUIET_MS.items()})) is None


def test_a_million_requests_take_seconds() -> None:
    draw = np.random.default_rng(3)
    run = timed_run({event: draw.exponential(duration, 1_000_000) for event, duration in QUIET_MS.items()})
    started = time.process_time()
    assert attribute_tail(run) is not None
    assert time.process_time() - started < 2
