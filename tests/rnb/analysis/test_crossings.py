"""How well the time between two nodes is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnb.analysis.crossings import crossed_stages
from rnb.analysis.reasons import Reason
from rnb.analysis.verdict import judge
from rnb.contract.events import Event, EventKind, Stage, StageKind
from rnb.record.run import Run
from tests.support.timed_runs import timed_run

NUM_REQUESTS = 1000


def run_over(*bounds_us: float, wait_ms: float = 0.3) -> Run:
    """Step 0 on node 0, step 1 on each in turn; the clock of each node but the first is known so well."""
    draw = np.random.default_rng(5)
    each = np.full(NUM_REQUESTS, wait_ms)
    stages = {
        "enqueue_filename": np.full(NUM_REQUESTS, 0.1),
        "runner0_start": each,
        "inference0_start": np.zeros(NUM_REQUESTS),
        "inference0_finish": draw.uniform(1, 2, NUM_REQUESTS),
        "handoff0_finish": np.zeros(NUM_REQUESTS),
        "runner1_start": each,
        "inference1_start": np.zeros(NUM_REQUESTS),
        "inference1_finish": draw.uniform(19, 21, NUM_REQUESTS),
    }
    run = timed_run(
        stages, arrivals_ms=np.cumsum(draw.uniform(8, 12, NUM_REQUESTS)), args={"mean_interval_ms": 10}
    )
    clocks: list[Any] = [None, *({"bound_ns": round(bound * 1000)} for bound in bounds_us)]
    run.meta.nodes = [{"node": node, "clock": clock} for node, clock in enumerate(clocks)]
    run.meta.replicas = [
        {"step": step, "replica": replica, "gpu": -1, "replica_on_gpu": 0, "node": replica}
        for step, count in ((0, 1), (1, len(clocks)))
        for replica in range(count)
    ]
    run.requests["replica0"] = np.zeros(NUM_REQUESTS, np.int32)
    run.requests["replica1"] = np.arange(NUM_REQUESTS, dtype=np.int32) % len(clocks)
    return run


def test_only_what_crosses_is_told() -> None:
    (crossed,) = crossed_stages(run_over(7, 9))
    assert crossed.stage == Stage(StageKind.WAIT, 1)
    assert crossed.num_requests == 666
    assert crossed.median_ns == pytest.approx(300_000, abs=1)
    assert crossed.bound_ns == 9000
    assert crossed.share == pytest.approx(0.03, rel=1e-3)


def test_one_node_has_nothing_to_tell() -> None:
    run = run_over()
    run.meta.nodes = []
    assert crossed_stages(run) == []


def test_a_request_that_never_left_does_not_count() -> None:
    run = run_over(5)
    run.times[Event(EventKind.TAKEN, 1)][1] = 0
    assert crossed_stages(run)[0].num_requests == 499


def test_clocks_that_are_further_off_than_a_tenth_make_it_invalid() -> None:
    assert Reason.CLOCKS_APART not in [finding.reason for finding in judge(run_over(29)).findings]
    verdict = judge(run_over(31))
    (finding,) = [one for one in verdict.findings if one.reason is Reason.CLOCKS_APART]
    assert "wait for step 1 took 300 us (p50) between nodes, whose clocks are known to 31 us" in finding.seen
    assert any("wait for step 1 31 us" in note for note in verdict.notes)
