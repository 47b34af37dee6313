"""How long each stage took, against times that are known, and what of it is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from rnb.analysis.statistics import (
    MIN_COUNTS,
    PERCENTILES,
    describe,
    merge_segments,
    percentile_name,
    stage_durations_ms,
)
from rnb.contract.events import SENT, Event, EventKind, Stage, StageKind
from rnb.record.run import Run
from tests.support.sample_runs import END_TO_END_MS, EVENTS, STAGES_MS, arguments, event_times, run_meta
from tests.support.stages import by_title

CALL = Stage(StageKind.CALL, 0)


def columns_of(times: np.ndarray, events: list[Event] = EVENTS) -> dict[Event, np.ndarray]:
    return {event: times[:, index] for index, event in enumerate(events)}


def stages_of(times: dict[Event, np.ndarray], step_names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """By title, of requests that all finished."""
    count = len(next(iter(times.values())))
    requests = {"status": np.full(count, "finished", dtype=object), "is_warmup": np.zeros(count, dtype=bool)}
    run = Run(meta=run_meta(arguments(), events=list(times)), times=times, requests=requests)
    return by_title(stage_durations_ms(run, run.finished), step_names)


@pytest.mark.parametrize("count", [6636, 6637, 10_000])
def test_percentiles_are_nearest_rank(count: int) -> None:
    values = np.random.default_rng(count).exponential(10, count)
    found = describe(CALL, values)
    for percent in PERCENTILES:
        rank = math.ceil(Fraction(str(percent)) * count / 100)
        assert found.percentiles_ms[percentile_name(percent)] == np.sort(values)[rank - 1]
    assert found.mean_ms == pytest.approx(values.mean())
    assert (found.max_ms, found.count) == (values.max(), count)


@pytest.mark.parametrize("percent", PERCENTILES[1:])
def test_the_floors_are_loadgens(percent: float) -> None:
    """The fewest requests of which one may be over the bound, with 99 % confidence in the percentile."""
    share = percent / 100

    def chance_of_at_most_one_over(count: int) -> float:
        return share**count + count * (1 - share) * share ** (count - 1)

    floor = MIN_COUNTS[percent]
    assert chance_of_at_most_one_over(floor) <= 0.01 < chance_of_at_most_one_over(floor - 1)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, []),
        (1, ["p50"]),
        (63, ["p50"]),
        (64, ["p50", "p90"]),
        (130, ["p50", "p90", "p95"]),
        (661, ["p50", "p90", "p95"]),
        (662, ["p50", "p90", "p95", "p99"]),
        (6636, ["p50", "p90", "p95", "p99", "p99.9"]),
    ],
)
def test_no_percentile_below_its_floor(count: int, shown: list[str]) -> None:
    found = describe(CALL, np.arange(count, dtype=np.float64), evidence=1000)
    assert [name for name, value in found.percentiles_ms.items() if value is not None] == shown
    has_intervals = ["mean", *shown] if count >= 100 else []
    assert [name for name, interval in found.intervals_ms.items() if interval] == has_intervals


def test_an_interval_is_around_its_value() -> None:
    values = np.random.default_rng(0).exponential(10, 10_000)
    found = describe(CALL, values, evidence=1000)
    for name, value in {"mean": found.mean_ms, **found.percentiles_ms}.items():
        interval = found.intervals_ms[name]
        assert interval is not None
        assert interval.high
        assert value
        assert interval.low < value < interval.high < 1.5 * value


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        (12.4, []),
        (12.5, ["mean", "p50"]),
        (12.7, ["mean", "p50", "p90"]),
        (18.0, ["mean", "p50", "p90", "p95"]),
        (40.1, ["mean", "p50", "p90", "p95", "p99"]),
    ],
)
def test_no_interval_of_a_run_that_tells_too_little(evidence: float, shown: list[str]) -> None:
    found = describe(CALL, np.random.default_rng(0).exponential(10, 10_000), evidence)
    assert [name for name, interval in found.intervals_ms.items() if interval] == shown


def test_the_stages_of_a_request() -> None:
    found = stages_of(columns_of(event_times(5)), ["A", "B"])
    lateness, *stages = STAGES_MS
    expected = {
        "wait for step 0": stages[0],
        "gather for step 0": stages[1],
        "step 0 A": stages[2],
        "wait for step 1": stages[3],
        "gather for step 1": stages[4],
        "step 1 B": stages[5],
        "lateness of the client": lateness,
        "service (from sending)": sum(stages),
        "end to end": END_TO_END_MS,
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx([value] * 5), name


IN_PLACE = ["runner0_start", "slot0_start", "inference0_start", "inference0_finish", "handoff0_finish"]
COPYING = ["runner0_start", "inference0_start", "inference0_finish", "slot0_finish", "handoff0_finish"]


def parsed(*names: str) -> list[Event]:
    return [Event.parse_any(name) for name in names]


@pytest.mark.parametrize(
    ("events", "stages"),
    [
        (IN_PLACE, ["gather for step 0", "slot for step 0", "step 0", "hand-off after step 0"]),
        (COPYING, ["gather for step 0", "step 0", "slot for step 0", "hand-off after step 0"]),
    ],
)
def test_the_wait_for_a_slot_is_a_stage(events: list[str], stages: list[str]) -> None:
    base_ns = 1_795_000_000_000_000_000
    times = columns_of(base_ns + np.array([[0, 1, 3, 7, 15]]) * 1_000_000, parsed(*events))
    found = stages_of(times)
    assert list(found)[: len(stages)] == stages
    assert [found[stage][0] for stage in stages] == [1, 2, 4, 8]


def test_without_a_schedule_latency_counts_from_the_first_event() -> None:
    found = stages_of(columns_of(event_times(2)[:, 1:], EVENTS[1:]))
    assert "lateness of the client" not in found
    assert found["end to end"] == pytest.approx([sum(STAGES_MS[1:])] * 2)
    assert found["end to end"] == pytest.approx(found["service (from sending)"])
    assert "step 1" in found


def test_events_of_other_names_are_stages_too() -> None:
    times = columns_of(np.array([[1_000_000, 3_000_000, 7_000_000]]), parsed("enqueue_filename", "a", "b"))
    found = stages_of(times)
    assert (found["enqueue_filename to a"][0], found["a to b"][0]) == (2, 4)


def test_a_stage_that_a_request_did_not_reach_has_no_duration() -> None:
    times = event_times(3)
    times[1, 5:] = 0
    found = stages_of(columns_of(times))
    assert np.isnan(found["wait for step 1"]).tolist() == [False, True, False]
    described = describe(CALL, found["wait for step 1"])
    assert described.count == 2
    assert described.mean_ms == pytest.approx(STAGES_MS[4])


SEGMENTED = parsed(
    "enqueue_filename",
    "inference0_finish",
    "runner1_start-0",
    "runner1_start-1",
    "inference1_finish-0",
    "inference1_finish-1",
)


def test_segments_count_as_their_mean_and_the_end_as_the_last() -> None:
    base = 1_795_000_000_000_000_001
    offsets_ms = np.array([[0, 10, 11, 13, 20, 30]])
    times = columns_of(base + offsets_ms * 1_000_000, SEGMENTED)
    merged = merge_segments(times)
    assert list(merged) == parsed(SENT.name, "inference0_finish", "runner1_start", "inference1_finish")
    assert merged[Event(EventKind.TAKEN, 1)].tolist() == [base + 12_000_000]
    found = stages_of(times)
    assert (found["wait for step 1"][0], found["step 1"][0], found["end to end"][0]) == (2, 13, 30)
