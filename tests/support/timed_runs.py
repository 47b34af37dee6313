"""Runs in memory, made from how long each stage of each request took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, Event
from rnb.record.run import Run
from tests.support.sample_runs import START_NS, arguments, run_meta

NUM_CPUS, SAMPLE_NS = 4, 200_000_000
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

    By default a request is due every 10 ms, all finish, and the machine has nothing else to do.
    """
    num_requests = len(next(iter(stages_ms.values())))
    due_ms = np.arange(0.0, 10.0 * num_requests, 10.0) if arrivals_ms is None else arrivals_ms
    times = {DUE: START_NS + np.round(due_ms * 1e6).astype(np.int64)}
    time_ns = times[DUE]
    for event, duration_ms in stages_ms.items():
        time_ns = times[Event.parse_any(event)] = time_ns + np.round(duration_ms * 1e6).astype(np.int64)
    end_ns = int(time_ns.max())
    facts = {
        "events": list(times),
        "end_epoch_ns": end_ns,
        "provenance": {"commit": None, "num_cpus": NUM_CPUS},
        **meta_changes,
    }
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
        tables={"telemetry": quiet_cpus(end_ns)} if tables is None else tables,
    )


def quiet_cpus(end_ns: int, others_percent: Sequence[float] = (0.0,)) -> dict[str, NDArray[Any]]:
    """Telemetry of a run whose client and step use a CPU between them, from START_NS on.

    `others_percent`: what others take of all CPUs in as many equal parts of the run.
    """
    num_samples = max(2, round((end_ns - START_NS) / SAMPLE_NS))
    part = np.arange(num_samples) * len(others_percent) // num_samples
    own = {"client": 5.0, "step 0.0": 90.0, "driver": 5.0}
    processes = {f"process.{name}.cpu_percent": np.full(num_samples, use) for name, use in own.items()}
    return {
        "time_ns": np.linspace(START_NS, end_ns, num_samples).astype(np.int64),
        "cpu.percent": sum(own.values()) / NUM_CPUS + np.array(others_percent)[part],
        "cpu.steal_percent": np.zeros(num_samples),
        **processes,
    }
