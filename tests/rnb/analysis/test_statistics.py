"""How long each stage took, against times that are known, and what of it is shown."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from rnb.analysis.statistics import (
    MIN_COUNTS,
    PERCENTILES,
    align,
    average_lines,
    describe,
    merge_segments,
    percentile_name,
    stage_durations_ms,
)
from tests.support.sample_runs import END_TO_END_MS, EVENTS, STAGES_MS, event_times


def columns_of(times: np.ndarray, events: list[str] = EVENTS) -> dict[str, np.ndarray]:
    return {event: times[:, index] for index, event in enumerate(events)}


@pytest.mark.parametrize("count", [6636, 6637, 10_000])
def test_percentiles_are_nearest_rank(count: int) -> None:
    values = np.random.default_rng(count).exponential(10, count)
    found = describe("x", values)
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
    found = describe("x", np.arange(count, dtype=np.float64))
    assert [name for name, value in found.percentiles_ms.items() if value is not None] == shown
    has_intervals = ["mean", *shown] if count >= 100 else []
    assert [name for name, interval in found.intervals_ms.items() if interval] == has_intervals


def test_an_interval_is_around_its_value() -> None:
    values = np.random.default_rng(0).exponential(10, 10_000)
    found = describe("x", values)
    for name, value in {"mean": found.mean_ms, **found.percentiles_ms}.items():
        interval = found.intervals_ms[name]
        assert interval is not None
        assert interval.high
        assert value
        assert interval.low < value < interval.high < 1.5 * value


def test_the_stages_of_a_request() -> None:
    found = stage_durations_ms(EVENTS, columns_of(event_times(5)), ["A", "B"])
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


@pytest.mark.parametrize(
    ("events", "stages"),
    [
        (IN_PLACE, ["gather for step 0", "slot for step 0", "step 0", "hand-off after step 0"]),
        (COPYING, ["gather for step 0", "step 0", "slot for step 0", "hand-off after step 0"]),
    ],
)
def test_the_wait_for_a_slot_is_a_stage(events: list[str], stages: list[str]) -> None:
    base_ns = 1_795_000_000_000_000_000
    times = columns_of(base_ns + np.array([[0, 1, 3, 7, 15]]) * 1_000_000, events)
    found = stage_durations_ms(events, times)
    assert list(found)[: len(stages)] == stages
    assert [found[stage][0] for stage in stages] == [1, 2, 4, 8]


def test_without_a_schedule_latency_counts_from_the_first_event() -> None:
    found = stage_durations_ms(EVENTS[1:], columns_of(event_times(2)))
    assert "lateness of the client" not in found
    assert found["end to end"] == pytest.approx([sum(STAGES_MS[1:])] * 2)
    assert found["end to end"] == pytest.approx(found["service (from sending)"])
    assert "step 1" in found


def test_events_of_other_names_are_stages_too() -> None:
    times = columns_of(np.array([[1_000_000, 3_000_000, 7_000_000]]), ["enqueue_filename", "a", "b"])
    found = stage_durations_ms(list(times), times)
    assert (found["enqueue_filename to a"][0], found["a to b"][0]) == (2, 4)


def test_a_stage_that_a_request_did_not_reach_has_no_duration() -> None:
    times = event_times(3)
    times[1, 5:] = 0
    found = stage_durations_ms(EVENTS, columns_of(times))
    assert np.isnan(found["wait for step 1"]).tolist() == [False, True, False]
    described = describe("x", found["wait for step 1"])
    assert described.count == 2
    assert described.mean_ms == pytest.approx(STAGES_MS[4])


SEGMENTED = [
    "enqueue_filename",
    "inference0_finish",
    "runner1_start-0",
    "runner1_start-1",
    "inference1_finish-0",
    "inference1_finish-1",
]


def test_segments_count_as_their_mean_and_the_end_as_the_last() -> None:
    base = 1_795_000_000_000_000_001
    offsets_ms = np.array([[0, 10, 11, 13, 20, 30]])
    times = columns_of(base + offsets_ms * 1_000_000, SEGMENTED)
    merged = merge_segments(SEGMENTED, times)
    assert list(merged) == ["enqueue_filename", "inference0_finish", "runner1_start", "inference1_finish"]
    assert merged["runner1_start"].tolist() == [base + 12_000_000]
    found = stage_durations_ms(SEGMENTED, times)
    assert (found["wait for step 1"][0], found["step 1"][0], found["end to end"][0]) == (2, 13, 30)


def test_the_seeds_average_lines() -> None:
    assert average_lines(EVENTS, columns_of(event_times(20))) == [
        "Average time between enqueue_filename and runner0_start: 1.000000 ms",
        "Average time between runner0_start and inference0_start: 0.250000 ms",
        "Average time between inference0_start and inference0_finish: 4.000000 ms",
        "Average time between inference0_finish and runner1_start: 2.000000 ms",
        "Average time between runner1_start and inference1_start: 0.250000 ms",
        "Average time between inference1_start and inference1_finish: 8.000000 ms",
    ]


@pytest.mark.parametrize(("count", "average_ms"), [(10, 5.5), (11, 11), (12, 11.5)])
def test_the_averages_leave_out_the_first_ten_of_more(count: int, average_ms: float) -> None:
    start = np.full(count, 1_795_000_000_000_000_000)
    times = {"a": start, "b": start + np.arange(1, count + 1) * 1_000_000}
    assert average_lines(["a", "b"], times) == [f"Average time between a and b: {average_ms:f} ms"]


def test_no_averages_of_nothing() -> None:
    assert average_lines(EVENTS, columns_of(event_times(0))) == [
        "No request finished, so there are no averages."
    ]


def test_columns_are_aligned() -> None:
    assert align([["", "mean"], ["long name", "1"]]) == ["           mean", "long name     1"]
