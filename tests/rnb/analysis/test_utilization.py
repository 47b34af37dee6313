"""What workers did with the measured phase, of runs of which every moment is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.analysis.utilization import (
    SHARES,
    Utilization,
    busiest_step,
    replica_utilizations,
    worker_utilizations,
)
from rnb.contract.events import DUE, Event, EventKind
from rnb.record.run import Run
from tests.support.single_server import single_server_run
from tests.support.timed_runs import timed_run

Events = dict[str, list[float]]


def one_step_run(
    events: Events,
    *,
    served_by: list[tuple[int, int]] | None = None,
    replicas: list[int] | None = None,
    end_ms: float = 100,
    **changes: Any,
) -> Run:
    """A run of 100 ms with the given times of events, in ms; `replicas`: how many workers each has."""
    count = len(next(iter(events.values())))
    served = np.array(served_by or [(0, 0)] * count)
    times = {"enqueue_filename": np.zeros(count), **{name: np.array(at) for name, at in events.items()}}
    steps = np.diff(np.stack(list(times.values())), axis=0, prepend=0)
    run = timed_run(
        dict(zip(times, steps, strict=True)),
        arrivals_ms=np.zeros(count),
        columns={"replica0": served[:, 0], "worker0": served[:, 1]},
        replicas=[
            {
                "step": 0,
                "replica": replica,
                "gpu": 0,
                "replica_on_gpu": replica,
                "device": "cpu",
                "workers": workers,
            }
            for replica, workers in enumerate(replicas or [1])
        ],
        **changes,
    )
    run.meta.end_epoch_ns = run.start_ns + round(end_ms * 1e6)
    run.requests["status"][-1] = "unfinished"  # so the phase lasts until the end of the run
    return run


def shares(entry: Utilization) -> list[float]:
    return [
        round(getattr(entry, name), 6) for name in ("busy", "waiting_for_input", "waiting_for_slot", "other")
    ]


IN_PLACE = ("runner0_start", "slot0_start", "inference0_start", "inference0_finish", "handoff0_finish")
COPYING = ("runner0_start", "inference0_start", "inference0_finish", "slot0_finish", "handoff0_finish")


def test_a_step_that_writes_in_place_waits_before_its_call() -> None:
    times: list[list[float]] = [[10.0, 60], [11, 61], [16, 66], [36, 86], [38, 88]]
    (entry,) = worker_utilizations(one_step_run(dict(zip(IN_PLACE, times, strict=True))))
    assert shares(entry) == [0.4, 0.44, 0.1, 0.06]


def test_a_step_that_copies_waits_after_its_call() -> None:
    times: list[list[float]] = [[10.0, 60], [11, 61], [31, 81], [36, 86], [38, 88]]
    (entry,) = worker_utilizations(one_step_run(dict(zip(COPYING, times, strict=True))))
    assert shares(entry) == [0.4, 0.44, 0.1, 0.06]


def test_a_batch_is_busy_once() -> None:
    """Two requests in one call; the second waits for its slot while the first is handed on."""
    times: list[list[float]] = [[10.0, 20], [30, 30], [50, 50], [55, 68], [60, 70]]
    (entry,) = worker_utilizations(one_step_run(dict(zip(COPYING, times, strict=True))))
    # Gathers 10-30, calls 30-50, slots 50-55 and 60-68, hands on 55-60 and 68-70.
    assert shares(entry) == [0.2, 0.4, 0.13, 0.27]


def test_a_step_that_holds_requests_back_is_busy_in_the_call_that_gives_them_out() -> None:
    events: Events = {
        "runner0_start": [10.0, 40],
        "inference0_start": [11, 41],
        "inference0_finish": [50, 50],
    }
    (entry,) = worker_utilizations(one_step_run(events))
    assert shares(entry) == [0.09, 0.89, 0, 0.02]


def test_a_message_of_several_requests_is_served_one_by_one() -> None:
    """Those that come later in it are no gathering of a worker that is busy."""
    events: Events = {
        "runner0_start": [10.0, 10],
        "inference0_start": [10, 30],
        "inference0_finish": [30, 50],
    }
    (entry,) = worker_utilizations(one_step_run(events))
    assert shares(entry) == [0.4, 0.6, 0, 0]


def test_segments_are_served_each_by_its_own() -> None:
    events: Events = {
        "runner0_start-0": [0],
        "runner0_start-1": [0],
        "inference0_start-0": [0],
        "inference0_start-1": [0],
        "inference0_finish-0": [30],
        "inference0_finish-1": [70],
    }
    run = one_step_run(
        events,
        replicas=[1, 1],
    )
    run.requests |= {
        f"{name}0-{k}": np.array([k if name == "replica" else 0])
        for name in ("replica", "worker")
        for k in (0, 1)
    }
    del run.requests["replica0"], run.requests["worker0"]
    assert [shares(entry)[0] for entry in worker_utilizations(run)] == [0.3, 0.7]


def test_the_replica_is_the_mean_of_its_workers_idle_ones_too() -> None:
    events: Events = {"runner0_start": [0.0, 0], "inference0_start": [0, 0], "inference0_finish": [50, 20]}
    run = one_step_run(events, served_by=[(0, 1), (1, 0)], replicas=[2, 1])
    workers = worker_utilizations(run)
    assert [(entry.replica, entry.worker, entry.busy) for entry in workers] == [
        (0, 0, 0),
        (0, 1, 0.5),
        (1, 0, 0.2),
    ]
    replicas = replica_utilizations(workers)
    assert [(entry.replica, entry.worker, entry.busy) for entry in replicas] == [
        (0, None, 0.25),
        (1, None, 0.2),
    ]


def test_what_lies_outside_of_the_phase_does_not_count() -> None:
    events: Events = {
        "runner0_start": [10.0, 60],
        "inference0_start": [10, 60],
        "inference0_finish": [60, 110],
    }
    run = one_step_run(events)
    run.requests["is_warmup"] = np.array([True, False])
    run.times[DUE][1] += 40_000_000  # the phase is from 40 to 110 ms
    (entry,) = worker_utilizations(run)
    assert shares(entry) == [1, 0, 0, 0]


def test_requests_without_an_end_do_not_count() -> None:
    events: Events = {
        "runner0_start": [10.0, 60],
        "inference0_start": [10, 60],
        "inference0_finish": [30, 70],
    }
    run = one_step_run(events)
    run.times[Event(EventKind.FINISHED, 0)][1] = 0
    (entry,) = worker_utilizations(run)
    assert shares(entry) == [0.2, 0.8, 0, 0]


def test_the_shares_of_a_queue_add_up_and_are_its_load() -> None:
    random = np.random.default_rng(0)
    run = single_server_run(np.cumsum(random.exponential(1, 20_000)), random.exponential(0.7, 20_000))
    (entry,) = worker_utilizations(run)
    assert sum(getattr(entry, name) for name in SHARES) == pytest.approx(1)
    assert entry.busy == pytest.approx(0.7, abs=0.02)
    assert entry.waiting_for_input == pytest.approx(0.3, abs=0.02)


def test_the_busiest_step() -> None:
    def busy_for(step: int, share: float) -> Utilization:
        return Utilization(
            step=step,
            replica=0,
            worker=0,
            busy=share,
            waiting_for_input=1 - share,
            waiting_for_slot=0,
            other=0,
        )

    workers = [busy_for(0, 0.2), busy_for(1, 0.5), busy_for(1, 0.9), busy_for(2, 0.6)]
    assert busiest_step(workers) == 1
    assert busiest_step([]) is None


def test_a_run_that_does_not_tell_who_served_has_no_utilization() -> None:
    run = single_server_run(np.arange(5.0), np.ones(5))
    del run.requests["worker0"]
    assert worker_utilizations(run) == []
    run.meta.is_seed_format, run.meta.replicas = True, []
    assert worker_utilizations(run) == []
    assert replica_utilizations([]) == []
