"""What each step had to do."""

from __future__ import annotations

import numpy as np

from rnb.analysis.step_work import step_work
from rnb.contract.events import SENT, Event, EventKind
from tests.support.simulated_runs import simulate
from tests.support.single_server import single_server_run


def test_of_each_step_when_requests_came_and_left() -> None:
    run = simulate(num_requests=300, has_telemetry=False)
    first, second = step_work(run)
    assert (first.step, second.step, second.num_workers, second.capacity) == (0, 1, 2, 2)
    assert first.came_ns.tolist() == run.times[SENT].tolist()
    assert second.came_ns.tolist() == run.times[Event(EventKind.HANDED_ON, 0)].tolist()
    assert second.left_ns.tolist() == run.times[Event(EventKind.FINISHED, 1)].tolist()
    assert second.row.tolist() == list(range(300))


def test_calls_are_held_against_calls_of_as_many_requests() -> None:
    """Two requests in a call take 3 s, one takes 2 s: that is no change of the service."""
    run = single_server_run(np.arange(0.0, 60, 10), np.array([2.0, 2.0, 3.0, 3.0, 3.0, 3.0]))
    finish = run.times[Event(EventKind.FINISHED, 0)]
    finish[3], finish[5] = finish[2], finish[4]
    start = run.times[Event(EventKind.STARTED, 0)]
    start[3], start[5] = start[2], start[4]
    (work,) = step_work(run)
    assert work.batch.tolist() == [1, 1, 2, 2, 2, 2]
    assert work.capacity == 2
    assert work.relative_service.tolist() == [1.0] * 6


def test_a_request_that_was_not_finished_stays_until_the_end() -> None:
    run = single_server_run(np.arange(3.0), np.full(3, 0.5))
    run.times[Event(EventKind.FINISHED, 0)][1] = 0
    run.requests["status"][1] = "unfinished"
    run.meta.end_epoch_ns = run.start_ns + 9_000_000_000
    (work,) = step_work(run)
    assert work.row.tolist() == [0, 2]
    assert work.left_ns[1] == run.end_ns
