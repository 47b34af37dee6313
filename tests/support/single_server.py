"""Runs of one step with one worker that serves in order of arrival, of which theory knows everything."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run
from tests.support.timed_runs import timed_run

Seconds = NDArray[np.float64]


def waits_s(arrivals_s: Seconds, services_s: Seconds) -> Seconds:
    """How long each waits: Lindley's recursion as a running maximum; many queues along the last axis."""
    ends = np.cumsum(services_s, axis=-1)
    starts = ends - services_s
    waits: Seconds = np.maximum.accumulate(arrivals_s - starts, axis=-1) + starts - arrivals_s
    return waits


def single_server_run(arrivals_s: Seconds, services_s: Seconds, **changes: Any) -> Run:
    """A run of the given arrivals, in seconds from its start."""
    count = len(arrivals_s)
    nothing = np.zeros(count)
    columns = {
        "num_clips": np.full(count, 2, dtype=np.int32),
        "replica0": np.zeros(count, dtype=np.int32),
        "worker0": np.zeros(count, dtype=np.int32),
    }
    return timed_run(
        {
            "enqueue_filename": nothing,
            "runner0_start": 1000 * waits_s(arrivals_s, services_s),
            "inference0_start": nothing,
            "inference0_finish": 1000 * services_s,
        },
        arrivals_ms=1000 * arrivals_s,
        columns={**columns, **changes.pop("columns", {})},
        step_names=["A"],
        replicas=[{"step": 0, "replica": 0, "gpu": 0, "replica_on_gpu": 0, "device": "cpu", "workers": 1}],
        **changes,
    )
