"""What --occupancy leaves in the run folder, made from what the sampler and the runners saw.

occupancy.parquet       a row a stretch of time: per GPU g, gpu<g>.<counter>, in % of peak
kernel_windows.parquet  a row for each runner and window in which its kernels were traced
kernels.parquet         a row for each window and kernel: how often, and for how long in all

The counters are the GPU's, whichever process its kernels come from. What a step reached is told by the
samples in which nearly all kernel time was its own.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from utils.cupti.gpu_sampler import GpuSamples
    from utils.cupti.kernel_windows import Window, WindowedKernels

COUNTERS = ("occupancy_pct", "sm_busy_pct", "sm_throughput_pct", "tensor_pct", "dram_pct")
"""Of all chips; those that a chip cannot count are NaN."""
STRETCH_NS = 10_000_000
MOST_STRETCHES = 20_000
"""Of a longer run each stretch is longer."""
OWN_SHARE = 0.95
"""Of the kernel time of a sample, for it to tell of one step."""

Table = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A runner on a GPU."""

    name: str
    step: int
    number: int
    gpu: int


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Columns by name; None where nothing was seen. Times are epoch ns."""

    occupancy: Table | None
    kernel_windows: Table | None
    kernels: Table | None


NOTHING_SEEN = Tables(occupancy=None, kernel_windows=None, kernels=None)


def make_tables(
    replicas: Sequence[Replica],
    samples: Sequence[GpuSamples],
    traced: Mapping[Replica, WindowedKernels],
    *,
    epoch_offset_ns: int,
) -> Tables:
    """`replicas`: all that have a GPU; `traced`: those whose kernels were traced."""
    samples = [of_gpu for of_gpu in samples if len(of_gpu.start_ns)]
    windows = [(replica, window) for replica, kernels in traced.items() for window in kernels.windows]
    own = _Own(replicas, windows, samples)
    return Tables(
        occupancy=_over_time(samples, epoch_offset_ns) if samples else None,
        kernel_windows=_windows(windows, own, epoch_offset_ns) if windows else None,
        kernels=_kernels([window for _, window in windows]) if windows else None,
    )


def _over_time(samples: Sequence[GpuSamples], epoch_offset_ns: int) -> Table:
    """All GPUs in the same stretches."""
    start_ns = min(int(of_gpu.start_ns[0]) for of_gpu in samples)
    end_ns = max(int(of_gpu.end_ns[-1]) for of_gpu in samples)
    stretch_ns = max(STRETCH_NS, -(-(end_ns - start_ns) // MOST_STRETCHES))
    edges_ns = np.arange(start_ns, end_ns + stretch_ns, stretch_ns)
    table: Table = {"time_ns": edges_ns[:-1] + epoch_offset_ns}
    for of_gpu in samples:
        stretch = np.searchsorted(edges_ns, (of_gpu.start_ns + of_gpu.end_ns) // 2, side="right") - 1
        for counter, values in _means(of_gpu, stretch, len(edges_ns) - 1).items():
            table[f"gpu{of_gpu.device}.{counter}"] = values
    return table


def _means(samples: GpuSamples, group: NDArray[np.int64], num_groups: int) -> dict[str, NDArray[np.float64]]:
    """Each counter's mean over the samples of each group, NaN where there are none.

    Occupancy counts only while multiprocessors have work, so it is weighted by how busy they were.
    """
    duration_ns = (samples.end_ns - samples.start_ns).astype(np.float64)
    means = {}
    for counter in COUNTERS:
        values = samples.columns.get(counter, np.full(len(group), np.nan))
        weights = duration_ns * (samples.columns["sm_busy_pct"] if counter == "occupancy_pct" else 1)
        known = np.isfinite(values) & (weights > 0)
        sums = np.bincount(group[known], (values * weights)[known], num_groups)
        totals = np.bincount(group[known], weights[known], num_groups)
        means[counter] = np.divide(sums, totals, out=np.full(num_groups, np.nan), where=totals > 0)
    return means


def _windows(windows: Sequence[tuple[Replica, Window]], own: _Own, epoch_offset_ns: int) -> Table:
    """What ran, and what the step's own kernels reached in `own_ns` of the window."""
    replicas, in_windows = zip(*windows, strict=True)
    counters = [own.of(replica, window) for replica, window in windows]
    facts = ("num_kernels", "busy_ns", "num_gaps", "gap_p50_ns", "gap_p99_ns", "gap_max_ns")
    return {
        "step": np.array([replica.step for replica in replicas]),
        "replica": np.array([replica.number for replica in replicas]),
        "gpu": np.array([replica.gpu for replica in replicas]),
        "start_ns": np.array([window.start_ns for window in in_windows]) + epoch_offset_ns,
        "end_ns": np.array([window.end_ns for window in in_windows]) + epoch_offset_ns,
        **{name: np.array([getattr(window, name) for window in in_windows]) for name in facts},
        **{name: np.array([found[name] for found in counters]) for name in ("own_ns", *COUNTERS)},
    }


class _Own:
    """What the samples within a window tell of one step: those in which only its kernels ran."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        windows: Sequence[tuple[Replica, Window]],
        samples: Sequence[GpuSamples],
    ) -> None:
        self._samples = {of_gpu.device: of_gpu for of_gpu in samples}
        self._replicas, self._windows = {}, {}
        for gpu in self._samples:
            self._replicas[gpu] = {replica for replica in replicas if replica.gpu == gpu}
            on_gpu = [(replica, window) for replica, window in windows if replica.gpu == gpu]
            self._windows[gpu] = sorted(on_gpu, key=lambda pair: pair[1].start_ns)

    def of(self, replica: Replica, window: Window) -> dict[str, float]:
        """The means of the counters, NaN where no sample tells, and how long those that tell are together."""
        beside = self._beside(replica, window)
        if {other for other, _ in beside} != self._replicas.get(replica.gpu):
            return {"own_ns": 0.0, **dict.fromkeys(COUNTERS, np.nan)}  # of some, nobody knows when they ran
        samples = self._samples[replica.gpu]
        samples = _part(
            samples,
            (samples.start_ns >= max(there.start_ns for _, there in beside))
            & (samples.end_ns <= min(there.end_ns for _, there in beside)),
        )
        own_ns, total_ns = np.zeros(len(samples.start_ns)), np.zeros(len(samples.start_ns))
        for other, there in beside:
            kernel_ns = _kernel_time_ns(there, samples.start_ns, samples.end_ns)
            total_ns += kernel_ns
            own_ns += kernel_ns * (other.step == replica.step)
        samples = _part(samples, (total_ns > 0) & (own_ns >= OWN_SHARE * total_ns))
        means = _means(samples, np.zeros(len(samples.start_ns), dtype=np.int64), 1)
        together_ns = float((samples.end_ns - samples.start_ns).sum())
        return {"own_ns": together_ns, **{name: float(values[0]) for name, values in means.items()}}

    def _beside(self, replica: Replica, window: Window) -> list[tuple[Replica, Window]]:
        """The windows on the same GPU at that time, with itself: all runners trace at the same times."""
        windows = self._windows.get(replica.gpu, [])
        first = bisect.bisect_left(
            windows, 2 * window.start_ns - window.end_ns, key=lambda pair: pair[1].start_ns
        )
        near = itertools.takewhile(lambda pair: pair[1].start_ns < window.end_ns, windows[first:])
        return [(other, there) for other, there in near if there.end_ns > window.start_ns]


def _part(samples: GpuSamples, rows: NDArray[np.bool_]) -> GpuSamples:
    columns = {name: values[rows] for name, values in samples.columns.items()}
    return replace(samples, start_ns=samples.start_ns[rows], end_ns=samples.end_ns[rows], columns=columns)


def _kernel_time_ns(
    window: Window, start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """How long kernels of the window ran in each of the stretches; within a bin, as if evenly spread."""
    busy_ns = np.concatenate(([0.0], np.cumsum(window.busy_per_bin_ns, dtype=np.float64)))
    edges_ns = window.bin_ns * np.arange(len(busy_ns), dtype=np.float64)
    before_start, before_end = (
        np.interp((time_ns - window.start_ns).astype(np.float64), edges_ns, busy_ns)
        for time_ns in (start_ns, end_ns)
    )
    return before_end - before_start


def _kernels(windows: Sequence[Window]) -> Table:
    """`window`: the row of kernel_windows."""
    counts = [len(window.names) for window in windows]
    of = {
        name: list(itertools.chain.from_iterable(getattr(window, name) for window in windows))
        for name in ("names", "num_launches", "total_ns", "theoretical_occupancy_pct")
    }
    return {
        "window": np.repeat(np.arange(len(windows)), counts),
        "kernel": np.array(of["names"], dtype=object),
        "num_launches": np.array(of["num_launches"], dtype=np.int64),
        "total_ns": np.array(of["total_ns"], dtype=np.int64),
        "theoretical_occupancy_pct": np.array(of["theoretical_occupancy_pct"], dtype=np.float64),
    }
