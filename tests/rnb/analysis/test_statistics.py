"""Statistics: against numpy, against times that are known, and fast enough for a million requests."""

from __future__ import annotations

import json
import math
import re
import time

import numpy as np
import pytest

from rnb.analysis.statistics import (
    MIN_COUNTS,
    Durations,
    Summary,
    align,
    average_lines,
    describe,
    merge_segments,
    stage_durations_ms,
    summarize,
    table,
)
from tests.support.sample_runs import END_TO_END_MS, EVENTS, STAGES_MS, event_times, request_columns


def columns_of(times: np.ndarray, events: list[str] = EVENTS) -> dict[str, np.ndarray]:
    return {event: times[:, index] for index, event in enumerate(events)}


def summary_of(num_requests: int, **columns: object) -> Summary:
    requests = {**request_columns(num_requests), **columns}
    return summarize(
        EVENTS, columns_of(event_times(num_requests)), requests, seconds=10, step_names=["A", "B"]
    )


def entry(summary: Summary, name: str) -> Durations:
    return next(entry for entry in summary.durations if entry.name == name)


@pytest.mark.parametrize("count", [662, 663, 1000, 9999])
def test_percentiles_are_nearest_rank(count: int) -> None:
    values = np.random.default_rng(count).exponential(10, count)
    found = describe("x", values)
    in_order = np.sort(values)
    for percent in (50, 90, 99):
        assert found.percentiles_ms[f"p{percent}"] == in_order[math.ceil(percent * count / 100) - 1]
    assert found.mean_ms == pytest.approx(values.mean())
    assert (found.max_ms, found.count) == (in_order[-1], count)


@pytest.mark.parametrize("percent", [90, 99])
def test_the_floors_are_loadgens(percent: int) -> None:
    """The fewest requests of which one may be over the bound, with 99 % confidence in the percentile."""
    share = percent / 100

    def chance_of_at_most_one_over(count: int) -> float:
        return share**count + count * (1 - share) * share ** (count - 1)

    floor = MIN_COUNTS[percent]
    assert chance_of_at_most_one_over(floor) <= 0.01 < chance_of_at_most_one_over(floor - 1)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, []), (1, ["p50"]), (63, ["p50"]), (64, ["p50", "p90"]), (661, ["p50", "p90"])],
)
def test_no_percentile_below_its_floor(count: int, shown: list[str]) -> None:
    found = describe("x", np.arange(count, dtype=np.float64)).percentiles_ms
    assert [name for name, value in found.items() if value is not None] == shown


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


def test_the_counts_and_the_throughput() -> None:
    status = np.array(["finished"] * 7 + ["failed"] * 2 + ["refused"] + ["unfinished"] * 2, dtype=object)
    times = event_times(12)
    times[10:, 1:] = 0
    requests = {**request_columns(12), "status": status, "num_clips": np.full(12, 3)}
    found = summarize(EVENTS, columns_of(times), requests, seconds=2)
    assert (found.num_scheduled, found.num_sent, found.num_refused) == (12, 10, 1)
    assert (found.num_failed, found.num_finished) == (2, 7)
    assert (found.videos_per_s, found.clips_per_s) == (3.5, 10.5)


def test_only_finished_requests_have_durations() -> None:
    status = np.array(["finished", "failed", "finished"], dtype=object)
    times = event_times(3)
    times[1, 3:] = 0
    found = summarize(EVENTS, columns_of(times), {**request_columns(3), "status": status}, seconds=1)
    assert entry(found, "end to end").count == 2
    assert entry(found, "end to end").mean_ms == pytest.approx(END_TO_END_MS)


def test_a_run_in_which_nothing_finished() -> None:
    found = summary_of(3, status=np.array(["unfinished"] * 3, dtype=object))
    assert (found.num_finished, found.videos_per_s) == (0, 0)
    assert entry(found, "end to end") == Durations(
        name="end to end",
        count=0,
        mean_ms=None,
        percentiles_ms={"p50": None, "p90": None, "p99": None},
        max_ms=None,
    )
    assert "0 finished" in table(found)


def test_a_run_that_never_started_has_no_throughput() -> None:
    found = summarize(EVENTS, columns_of(event_times(3)), request_columns(3), seconds=0)
    assert (found.videos_per_s, found.clips_per_s) == (0, None)


def test_the_summary_is_json() -> None:
    data = json.loads(json.dumps(summary_of(100).to_json(), allow_nan=False))
    assert (data["schema_version"], data["num_finished"]) == (1, 100)
    assert data["durations"][-1]["name"] == "end to end"
    assert data["durations"][-1]["percentiles_ms"] == {
        "p50": pytest.approx(END_TO_END_MS),
        "p90": pytest.approx(END_TO_END_MS),
        "p99": None,
    }


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


def test_the_table_of_a_small_run() -> None:
    header, *rows = table(summary_of(100)).splitlines()
    assert header.split() == ["mean", "p50", "p90", "p99", "max", "ms"]
    end_to_end = next(row for row in rows if row.startswith("end to end"))
    assert end_to_end.split()[-5:] == ["16.000", "16.000", "16.000", "-", "16.000"]
    assert len({len(line) for line in [header, *rows[:9]]}) == 1
    assert rows[9:] == [
        "- : too few requests for this percentile; p90 needs 64, p99 needs 662",
        "10.00 videos/s, 10.0 clips/s over 10.00 s",
        "requests: 100 scheduled, 100 sent, 0 refused, 0 failed, 100 finished",
    ]


def test_the_table_of_a_large_run_needs_no_footnote() -> None:
    assert not re.search(r"too few|\s-(\s|$)", table(summary_of(662)))


def test_columns_are_aligned() -> None:
    assert align([["", "mean"], ["long name", "1"]]) == ["           mean", "long name     1"]


def test_a_million_requests_take_a_few_seconds() -> None:
    count = 1_000_000
    gaps = np.random.default_rng(0).integers(1, 10_000_000, (count, len(EVENTS)))
    times = columns_of(1_795_000_000_000_000_000 + np.cumsum(gaps, axis=1))
    requests = {
        "status": np.full(count, "finished", dtype=object),
        "num_clips": np.ones(count, dtype=np.int32),
    }
    start = time.process_time()
    found = summarize(EVENTS, times, requests, seconds=60)
    average_lines(EVENTS, times)
    assert time.process_time() - start < 5
    assert found.num_finished == count
