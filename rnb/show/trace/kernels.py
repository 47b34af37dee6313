"""The windows in which the kernels of a runner were traced, as slices that tell what ran in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run, Table
from rnb.record.tables import KERNEL_WINDOWS, KERNELS
from rnb.show.trace.processes import Processes
from rnb.show.trace.writer import TraceWriter, quoted

TRACK = 1_000_000
"""Of a runner: far from those of its workers."""
NUM_TOP = 5
_MOST_NAME = 100


def write_kernels(writer: TraceWriter, run: Run, processes: Processes) -> None:
    windows = run.tables.get(KERNEL_WINDOWS)
    if windows is None:
        return
    kernels = run.tables[KERNELS]
    pairs = zip(windows["step"].tolist(), windows["replica"].tolist(), strict=True)
    pid = np.array([processes.of_replica(step, replica) for step, replica in pairs], dtype=np.int64)
    for process in sorted(set(pid.tolist())):
        writer.name_thread(process, TRACK, "kernels")
    length_ns = windows["end_ns"] - windows["start_ns"]
    writer.slices(
        "kernels traced",
        pid=pid,
        tid=TRACK,
        start_ns=windows["start_ns"],
        end_ns=windows["end_ns"],
        kernels=windows["num_kernels"],
        busy_percent=np.round(100 * windows["busy_ns"] / length_ns, 1),
        most_time=[quoted(_most_time(kernels, window)) for window in range(len(pid))],
    )


def _most_time(kernels: Table, window: int) -> str:
    """The kernels with the most time, and the ms of each."""
    rows: NDArray[np.intp] = np.flatnonzero(kernels["window"] == window)
    rows = rows[np.argsort(-kernels["total_ns"][rows], kind="stable")][:NUM_TOP]
    names = [name[:_MOST_NAME] for name in kernels["kernel"][rows]]
    times_ms = kernels["total_ns"][rows] / 1e6
    return "; ".join(f"{time_ms:.3f} ms {name}" for name, time_ms in zip(names, times_ms, strict=True))
