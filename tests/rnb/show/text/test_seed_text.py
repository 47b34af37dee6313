"""The averages of the seed, over requests whose times are known."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.record.run import Run
from rnb.show.text.seed_text import average_lines
from tests.support.sample_runs import EVENTS, arguments, event_times, run_meta
from tests.support.timed_runs import timed_run


def sample_run(num_requests: int) -> Run:
    times = event_times(num_requests)
    return Run(
        meta=run_meta(arguments()),
        times={event: times[:, index] for index, event in enumerate(EVENTS)},
        requests={
            "status": np.full(num_requests, "finished", dtype=object),
            "is_warmup": np.zeros(num_requests, dtype=bool),
        },
    )


def test_the_seeds_average_lines() -> None:
    assert average_lines(sample_run(20)) == [
        "Average time between enqueue_filename and runner0_start: 1.000000 ms",
        "Average time between runner0_start and inference0_start: 0.250000 ms",
        "Average time between inference0_start and inference0_finish: 4.000000 ms",
        "Average time between inference0_finish and runner1_start: 2.000000 ms",
        "Average time between runner1_start and inference1_start: 0.250000 ms",
        "Average time between inference1_start and inference1_finish: 8.000000 ms",
    ]


def test_it_knows_no_event_that_the_seed_does_not_know() -> None:
    stages_ms = {"runner0_start": 1.0, "slot0_start": 2.0, "inference0_start": 4.0, "handoff0_finish": 8.0}
    run = timed_run({event: np.full(5, value) for event, value in stages_ms.items()})
    assert average_lines(run) == ["Average time between runner0_start and inference0_start: 6.000000 ms"]


def test_only_finished_requests_count() -> None:
    run = timed_run({"a": np.zeros(4), "b": np.array([1.0, 2.0, 3.0, 4.0])})
    run.requests["status"][2:] = "failed"
    assert average_lines(run) == ["Average time between a and b: 1.500000 ms"]


@pytest.mark.parametrize(("count", "average_ms"), [(10, 5.5), (11, 11), (12, 11.5)])
def test_the_averages_leave_out_the_first_ten_of_more(count: int, average_ms: float) -> None:
    run = timed_run({"a": np.zeros(count), "b": np.arange(1.0, count + 1)})
    assert average_lines(run) == [f"Average time between a and b: {average_ms:f} ms"]


def test_no_averages_of_nothing() -> None:
    assert average_lines(sample_run(0)) == ["No request finished, so there are no averages."]
