"""Runs in memory, made from how long each stage of each request took."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, Event
from rnb.record.run import Run
from tests.support.sample_runs import START_NS, arguments, run_meta

QUIET_MS = {
    "enqueue_filename": 0.1,
    "runner0_start": 1.0,
    "inference0_start": 0.2,
    "inference0_finish": 4.0,
    "slot0_finish": 0.05,
    "handoff0_finish": 0.15,
    "runner1_start": 2.0,
    "inference1_start": 0.3,
    "inference1_finish": 8.0,
}
"""What leads to each event takes so long in a request that nothing holds up."""


def timed_run(
    stages_ms: Mapping[str, NDArray[np.float64]],
    *,
    arrivals_ms: NDArray[np.float64] | None = None,
    columns: Mapping[str, Any] | None = None,
    args: Mapping[str, Any] | None = None,
    tables: dict[str, dict[str, NDArray[Any]]] | None = None,
    **meta_changes: Any,
) -> Run:
    """A run whose events, by name, follow each other by `stages_ms`, from when each request was due.

    By default a request is due every 10 ms, and all finish.
    """
    num_requests = len(next(iter(stages_ms.values())))
    due_ms = np.arange(0.0, 10.0 * num_requests, 10.0) if arrivals_ms is None else arrivals_ms
    times = {DUE: START_NS + np.round(due_ms * 1e6).astype(np.int64)}
    time_ns = times[DUE]
    for event, duration_ms in stages_ms.items():
        time_ns = times[Event.parse_any(event)] = time_ns + np.round(duration_ms * 1e6).astype(np.int64)
    end_ns = int(time_ns.max())
    facts = {"events": list(times), "end_epoch_ns": end_ns, **meta_changes}
    return Run(
        folder=Path("logs/run"),
        meta=run_meta(arguments(**(args or {})), **facts),
        times=times,
        requests={
            "request_id": np.arange(num_requests),
            "arrival_ns": times[DUE] - START_NS,
            "is_warmup": np.zeros(num_requests, dtype=bool),
            "status": np.full(num_requests, "finished", dtype=object),
            **(columns or {}),
        },
        tables=tables or {},
    )
