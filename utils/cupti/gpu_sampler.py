"""How busy a GPU is over time, read from its hardware counters while everything runs as it always does.

The counters belong to the GPU, not to a process: one sampler sees the kernels of all processes, under MPS
too, and a second sampler of the same GPU (or ncu, or DCGM's profiling metrics) is refused.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiError, CuptiUnavailable

if TYPE_CHECKING:
    from utils.cupti.cupti import PmSampler

_TRIAGE = "TPC.TriageCompute"

# Column → CUPTI's metric. A set must fit the hardware's counters at once (one pass), which depends on the
# chip: the first set that fits is taken. Hopper's `TriageCompute` counters add the SM throughput; Turing has
# room for the last set only.
METRIC_SETS: tuple[dict[str, str], ...] = (
    {
        "occupancy_pct": "sm__warps_active.avg.pct_of_peak_sustained_active",
        "sm_busy_pct": f"{_TRIAGE}.sm__cycles_active.avg.pct_of_peak_sustained_elapsed",
        "sm_throughput_pct": "TriageCompute.sm__throughput.avg.pct_of_peak_sustained_elapsed",
        "tensor_pct": f"{_TRIAGE}.sm__pipe_tensor_cycles_active_realtime.avg.pct_of_peak_sustained_elapsed",
        "dram_pct": "FBSP.TriageCompute.dramc__throughput.avg.pct_of_peak_sustained_elapsed",
    },
    {
        "occupancy_pct": "sm__warps_active.avg.pct_of_peak_sustained_active",
        "sm_busy_pct": "sm__cycles_active.avg.pct_of_peak_sustained_elapsed",
        "tensor_pct": "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed",
        "dram_pct": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    },
    {
        "occupancy_pct": "sm__warps_active.avg.pct_of_peak_sustained_active",
        "sm_busy_pct": "sm__cycles_active.avg.pct_of_peak_sustained_elapsed",
    },
)


def choose_metrics(chip: str) -> dict[str, str]:
    """The first of `METRIC_SETS` that CUPTI can sample on `chip` (for example 'GH100') in one pass."""
    cupti = open_cupti()
    for metrics in METRIC_SETS:
        try:
            if cupti.num_passes(list(metrics.values()), chip=chip, sampling=True) == 1:
                return metrics
        except CuptiUnavailable:
            raise
        except CuptiError:  # the chip lacks one of the metrics
            continue
    raise CuptiUnavailable(f"GPU {chip}: its counters cannot be sampled in one pass")


@dataclass(frozen=True)
class GpuSamples:
    """One GPU's samples in order of time.

    `start_ns`, `end_ns`: the stretch that each sample averages, [samples], int64, `time.perf_counter_ns`.
    `columns`: name → float64 [samples], in % of peak; which there are depends on the chip (`METRIC_SETS`).
    `num_overflows`: how often the GPU's buffer ran full, so that samples are missing.
    """

    device: int
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    num_overflows: int = 0

    def mean(self, start_ns: int | None = None, end_ns: int | None = None) -> dict[str, float]:
        """Each column's average over the samples within [start_ns, end_ns]; NaN if there are none.

        Occupancy is weighted by how busy the multiprocessors were: it is defined only while they have work.
        """
        rows = np.ones(len(self.start_ns), dtype=bool)
        if start_ns is not None:
            rows &= self.start_ns >= start_ns
        if end_ns is not None:
            rows &= self.end_ns <= end_ns
        duration_ns = (self.end_ns - self.start_ns)[rows].astype(np.float64)
        busy = self.columns["sm_busy_pct"][rows] * duration_ns
        return {
            name: _weighted_mean(values[rows], busy if name == "occupancy_pct" else duration_ns)
            for name, values in self.columns.items()
        }


def _decode_period_ns(interval_us: int) -> int:
    # 100 samples at a time, where that is sensible: several hundred overflow the GPU's buffer, as a sample
    # takes more than 64 kB of its 64 MB on an H200.
    return 1000 * max(10_000, min(100 * interval_us, 100_000), interval_us)


def _weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    # A sample in which nothing ran has no occupancy: NaN, with weight 0.
    known = np.isfinite(values) & (weights > 0)
    if not known.any():
        return float("nan") if not len(values) else 0.0
    return float(np.average(values[known], weights=weights[known]))


@dataclass
class GpuSampler:
    """Samples one GPU from `start()` to `stop()`, or for the length of a `with` block, then holds `samples`.

    `device` counts within CUDA_VISIBLE_DEVICES. It may run in any process, beside those that use the GPU.
    `start()` raises `CuptiUnavailable` where that is not possible: the caller prints the line and goes on.
    """

    device: int = 0
    interval_us: int = 1000
    samples: GpuSamples | None = field(default=None, init=False)
    _sampler: PmSampler | None = field(default=None, init=False, repr=False)
    _columns: list[str] = field(default_factory=list, init=False, repr=False)
    _started_ns: int = field(default=0, init=False, repr=False)

    def start(self) -> None:
        cupti = open_cupti()
        metrics = choose_metrics(cupti.chip_name(self.device))
        self._columns = list(metrics)
        sampler = cupti.PmSampler(
            self.device,
            list(metrics.values()),
            interval_ns=self.interval_us * 1000,
            decode_period_ns=_decode_period_ns(self.interval_us),
        )
        self._started_ns = time.perf_counter_ns()
        sampler.start()
        self._sampler = sampler

    def stop(self) -> GpuSamples:
        if self._sampler is None:
            raise RuntimeError("GpuSampler.stop(): not started")
        sampler, self._sampler = self._sampler, None
        sampler.stop()
        times, values = sampler.take()
        # The first sample reaches back to when the counters were last at zero, before the start.
        rows = times[:, 0] >= self._started_ns
        times, values = times[rows], values[rows]
        columns = {name: values[:, i] for i, name in enumerate(self._columns)}
        self.samples = GpuSamples(self.device, times[:, 0], times[:, 1], columns, sampler.num_overflows)
        return self.samples

    def __enter__(self) -> GpuSampler:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
