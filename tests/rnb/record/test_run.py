"""What a run tells of its requests, and of the time that counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnb.contract.events import DUE, Event, EventKind
from rnb.record.run import Run
from rnb.record.run_folder import read
from tests.support.sample_runs import END_TO_END_MS, GAP_MS, write_run
from tests.support.timed_runs import timed_run


def warmed_up(tmp_path: Path, **columns: object) -> Run:
    """100 requests of which the first 40 are to warm up."""
    return read(write_run(tmp_path, columns={"is_warmup": np.arange(100) < 40, **columns}))


def test_the_measured_phase_follows_the_warm_up(tmp_path: Path) -> None:
    run = warmed_up(tmp_path)
    scheduled = run.times[DUE]
    assert run.num_warmup == 40
    assert run.is_measured.tolist() == [False] * 40 + [True] * 60
    assert run.window_ns == (scheduled[40], scheduled[99] + END_TO_END_MS * 1_000_000)
    assert run.seconds == pytest.approx((59 * GAP_MS + END_TO_END_MS) / 1e3)


def test_without_a_warm_up_it_begins_with_the_first_request_too() -> None:
    """Not when the run starts: six requests a second apart, the first after one second, are 1.2 in 5 s."""
    stages = {"enqueue_filename": np.zeros(6), "runner0_start": np.zeros(6), "inference0_finish": np.zeros(6)}
    run = timed_run(stages, arrivals_ms=np.arange(1000.0, 7000, 1000))
    run.meta.end_epoch_ns += 500_000_000
    assert run.window_ns == (run.start_ns + 1_000_000_000, run.start_ns + 6_000_000_000)
    assert run.finished.sum() / run.seconds == pytest.approx(1.2)


def test_where_all_are_due_at_once_the_measured_phase_follows_as_many_as_warm_up(tmp_path: Path) -> None:
    run = warmed_up(tmp_path)
    run.times[DUE][:] = run.times[DUE][0]
    ends = np.sort(run.ends_ns)
    assert run.window_ns == (ends[39], ends[99])


def test_the_measured_phase_of_a_stopped_run_ends_with_the_run(tmp_path: Path) -> None:
    status = np.array(["finished"] * 99 + ["unfinished"], dtype=object)
    run = warmed_up(tmp_path, status=status)
    assert run.window_ns == (run.times[DUE][40], run.end_ns)


def test_what_finished_counts_unless_it_warms_up(tmp_path: Path) -> None:
    status = np.array(["finished"] * 98 + ["failed", "refused"], dtype=object)
    run = warmed_up(tmp_path, status=status)
    assert np.flatnonzero(run.finished).tolist() == list(range(40, 98))
    assert np.flatnonzero(run.ended_as("failed", "refused")).tolist() == [98, 99]


def test_the_latency_is_of_all_that_finished_those_of_the_warm_up_too(tmp_path: Path) -> None:
    status = np.array(["finished"] * 99 + ["failed"], dtype=object)
    latency_ms = warmed_up(tmp_path, status=status).latency_ms
    assert latency_ms[:99] == pytest.approx(END_TO_END_MS)
    assert np.isnan(latency_ms[99])


def test_a_request_in_segments_ends_with_the_last_of_them() -> None:
    stages_ms = {
        "enqueue_filename": np.array([1.0]),
        "runner0_start": np.array([1.0]),
        "runner1_start-0": np.array([5.0]),
        "runner1_start-1": np.array([-2.0]),
    }
    run = timed_run(stages_ms)
    assert run.num_steps == 2
    assert list(run.segments(Event(EventKind.TAKEN, 1))) == [0, 1]
    assert list(run.segments(Event(EventKind.TAKEN, 0))) == [None]
    assert run.segments(Event(EventKind.TAKEN, 2)) == {}
    assert run.latency_ms.tolist() == [7.0]


def test_who_served_a_segment_is_known_by_segment_or_as_a_whole() -> None:
    run = timed_run({"runner0_start": np.array([1.0])})
    run.requests |= {"replica0": np.array([3]), "replica1-0": np.array([4])}
    served = [run.served_by("replica", 0, 1), run.served_by("replica", 1, 0), run.served_by("replica", 1)]
    assert [None if column is None else column.tolist() for column in served] == [[3], [4], None]


def test_without_a_schedule_a_request_is_due_when_it_is_sent() -> None:
    run = timed_run({"enqueue_filename": np.array([2.0]), "runner0_start": np.array([3.0])})
    assert run.latency_ms.tolist() == [5.0]
    del run.times[DUE]
    assert run.latency_ms.tolist() == [3.0]
