"""What a traced run's kernels add up to: time by name, and the gaps in which the GPU ran none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KernelTime:
    """All launches of one kernel: how often, for how long, at which theoretical occupancy (NaN: unknown)."""

    name: str
    num_launches: int
    total_ns: int
    mean_ns: float
    share_pct: float
    theoretical_occupancy_pct: float


@dataclass(frozen=True)
class Gaps:
    """The stretch from the first kernel's start to the last one's end, and the times without a kernel."""

    span_ns: int
    busy_ns: int
    num_gaps: int
    total_ns: int
    p50_ns: float
    p99_ns: float
    max_ns: int

    @property
    def busy_pct(self) -> float:
        return 100.0 * self.busy_ns / self.span_ns if self.span_ns else 0.0


def top_kernels(table: dict[str, Any], count: int = 10) -> list[KernelTime]:
    """The `count` kernels that took the most time together; shares are of all kernels' time in the table."""
    durations = table["end_ns"] - table["start_ns"]
    num_names = len(table["names"])
    totals = np.bincount(table["name"], weights=durations, minlength=num_names)
    launches = np.bincount(table["name"], minlength=num_names)
    occupancy = np.bincount(
        table["name"], weights=durations * table["theoretical_occupancy_pct"], minlength=num_names
    )
    order = [int(i) for i in np.argsort(-totals, kind="stable")[:count] if launches[i]]
    return [
        KernelTime(
            name=table["names"][i],
            num_launches=int(launches[i]),
            total_ns=int(totals[i]),
            mean_ns=float(totals[i] / launches[i]),
            share_pct=float(100.0 * totals[i] / totals.sum()) if totals.sum() else 0.0,
            theoretical_occupancy_pct=float(occupancy[i] / totals[i]) if totals[i] else float("nan"),
        )
        for i in order
    ]


def gaps(table: dict[str, Any]) -> Gaps:
    """Gaps between the kernels of one table; kernels that overlap (streams) count once.

    The table should hold one device only. Of several processes on it, another's kernels may fill a gap: what
    the whole GPU did is the sampler's to say.
    """
    if not len(table["start_ns"]):
        return Gaps(0, 0, 0, 0, float("nan"), float("nan"), 0)
    order = np.argsort(table["start_ns"], kind="stable")
    starts, ends = table["start_ns"][order], np.maximum.accumulate(table["end_ns"][order])
    between: NDArray[np.int64] = starts[1:] - ends[:-1]
    idle = between[between > 0]
    span_ns, total_ns = int(ends[-1] - starts[0]), int(idle.sum())
    p50, p99 = np.percentile(idle, [50, 99]) if len(idle) else (float("nan"), float("nan"))
    longest = int(idle.max()) if len(idle) else 0
    return Gaps(span_ns, span_ns - total_ns, len(idle), total_ns, float(p50), float(p99), longest)


def busy_per_bin(table: dict[str, Any], edges_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long at least one kernel ran between each edge and the next, in ns: (len(edges_ns) - 1,)."""
    order = np.argsort(table["start_ns"], kind="stable")
    starts, ends = table["start_ns"][order], np.maximum.accumulate(table["end_ns"][order])
    if not len(starts):
        return np.zeros(len(edges_ns) - 1, dtype=np.int64)
    starts[1:] = np.maximum(starts[1:], ends[:-1])
    covered = np.concatenate(([0], np.cumsum(ends - starts)))
    begun = np.searchsorted(starts, edges_ns, side="right")
    until_edge = covered[begun] - np.maximum(ends[begun - 1] - edges_ns, 0) * (begun > 0)
    busy_ns: NDArray[np.int64] = np.diff(until_edge)
    return busy_ns
