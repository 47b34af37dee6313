"""How many wait before each step and are in the system, of runs of which it can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from rnb.analysis.queue_depth import curve, in_system, queue_depths, waiting_before_steps
from rnb.contract.events import SENT, Event, EventKind
from rnb.record.run import Run
from tests.support.single_server import single_server_run
from tests.support.timed_runs import timed_run

MS = 1e-3


def columns(*values_ms: float) -> np.ndarray:
    return np.array(values_ms, dtype=np.float64)


def three_at_once() -> Run:
    """Three requests due at 0 with a service of 2 s: they wait 0, 2 and 4 s."""
    return single_server_run(np.zeros(3), np.full(3, 2.0))


def test_the_depth_before_a_step() -> None:
    (depth,) = queue_depths(three_at_once())
    assert (depth.step, depth.max) == (0, 2)
    assert depth.mean == pytest.approx((2 + 4) / 6)


def test_who_is_in_the_system() -> None:
    assert in_system(three_at_once()).at(np.array([-1.0, 0.0, 2.0, 4.0, 6.0])).tolist() == [0, 3, 2, 1, 0]


def handed_on_run(has_handoff: bool = True) -> Run:
    """Two requests; step 0 serves for 5 ms and hands on in 1 ms, step 1 takes them 3 ms later."""
    after = {"handoff0_finish": columns(1, 1), "runner1_start": columns(3, 3)}
    stages = {
        "enqueue_filename": columns(0, 0),
        "runner0_start": columns(2, 2),
        "inference0_start": columns(0, 0),
        "inference0_finish": columns(5, 5),
        **(after if has_handoff else {"runner1_start": columns(4, 4)}),
        "inference1_start": columns(0, 0),
        "inference1_finish": columns(4, 4),
    }
    return timed_run(stages)


def test_a_request_comes_to_the_next_queue_when_it_is_handed_on() -> None:
    before_step_1 = waiting_before_steps(handed_on_run())[1]
    assert before_step_1.at(MS * np.array([7.9, 8.0, 10.9, 11.0])).tolist() == [0, 1, 1, 0]


def test_without_hand_off_times_it_comes_when_the_call_is_done() -> None:
    before_step_1 = waiting_before_steps(handed_on_run(has_handoff=False))[1]
    assert before_step_1.at(MS * np.array([6.9, 7.0, 10.9, 11.0])).tolist() == [0, 1, 1, 0]


def test_each_segment_waits_by_itself() -> None:
    stages = {
        "enqueue_filename": columns(0),
        "runner0_start": columns(0),
        "inference0_start": columns(0),
        "inference0_finish": columns(1),
        "handoff0_finish": columns(1),
        "runner1_start-0": columns(2),
        "runner1_start-1": columns(4),
    }
    before_step_1 = waiting_before_steps(timed_run(stages))[1]
    assert before_step_1.at(MS * np.array([2.0, 4.0, 8.0])).tolist() == [2, 1, 0]


def test_what_is_never_taken_waits_to_the_end() -> None:
    run = three_at_once()
    run.requests["status"][2] = "unfinished"
    for kind in (EventKind.TAKEN, EventKind.STARTED, EventKind.FINISHED):
        run.times[Event(kind, 0)][2] = 0
    assert waiting_before_steps(run)[0].at(np.array([3.0, 99.0])).tolist() == [1, 1]
    assert in_system(run).at(np.array([99.0])).tolist() == [1]


def test_what_was_refused_was_never_in() -> None:
    run = three_at_once()
    run.requests["status"][2] = "refused"
    for event in run.events[1:]:
        run.times[event][2] = 0
    assert waiting_before_steps(run)[0].at(np.array([0.0])).tolist() == [1]
    assert in_system(run).at(np.array([0.0])).tolist() == [2]


def test_the_warm_up_waits_too_but_the_phase_begins_after_it() -> None:
    run = single_server_run(np.array([0.0, 1.0, 2.0]), np.full(3, 2.0))
    run.requests["is_warmup"] = np.array([True, True, False])
    assert run.seconds == 4
    (depth,) = queue_depths(run)
    assert depth.mean == pytest.approx(2 / 4)  # the second was taken at 2 s, the third at 4 s
    assert in_system(run).at(np.array([0.0, 2.0, 4.0])).tolist() == [2, 1, 0]


def test_a_curve_has_the_points_asked_for_and_the_same_mean() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(1, 5000)), random.exponential(0.8, 5000))
    (depth,) = queue_depths(run)
    at_s, means = curve(waiting_before_steps(run)[0], run.seconds, 200)
    assert len(at_s) == len(means) == 200
    assert means.mean() == pytest.approx(depth.mean)
    assert 0 < at_s[0] < at_s[-1] < run.seconds


def test_a_run_that_never_started_has_no_depths() -> None:
    run = three_at_once()
    run.requests["status"][:] = "unfinished"
    run.meta.end_epoch_ns = run.start_ns
    assert queue_depths(run) == []


@pytest.mark.parametrize("missing", [SENT, Event(EventKind.TAKEN, 0)])
def test_a_queue_of_which_an_event_is_missing_has_no_depth(missing: Event) -> None:
    run = three_at_once()
    del run.times[missing]
    assert queue_depths(run) == []
