"""The occupancy that each kernel reached, beside how well it used the GPU otherwise.

Each kernel runs alone and is replayed as often as its metrics need passes: not for use inside a measured run,
as `utils.cupti.gpu_sampler` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.cupti.bridge import open_cupti

if TYPE_CHECKING:
    from utils.cupti.cupti import Kernel, KernelCounters

# CUPTI's names, which are those of `ncu --metrics`; each is in % of what the hardware can sustain.
KERNEL_METRICS = {
    "occupancy_pct": "sm__warps_active.avg.pct_of_peak_sustained_active",
    "sm_throughput_pct": "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "tensor_pct": "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed",
    "dram_pct": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
}


@dataclass(frozen=True)
class CountedKernel:
    """One kernel and what it reached, in %.

    `occupancy_pct` is the average share of a multiprocessor's warp slots in use while it had work; the others
    are shares of the peak over the kernel's whole duration.
    """

    name: str
    occupancy_pct: float
    sm_throughput_pct: float
    tensor_pct: float
    dram_pct: float


def count_kernels(
    function: Callable[[], object], *, device: int = 0, max_kernels: int = 1024
) -> list[CountedKernel]:
    """Run `function` under the counters; return its kernels on `device`, in order of launch.

    Raises `CuptiUnavailable` without GPU, bridge or permission, `ValueError` if more than `max_kernels` ran.
    """
    profiler = open_cupti().RangeProfiler(device, list(KERNEL_METRICS.values()), max_kernels=max_kernels)
    profiler.start()
    try:
        function()
    finally:
        profiler.stop()
    if profiler.num_dropped:
        raise ValueError(f"max_kernels: {max_kernels}, but {profiler.num_dropped} more kernels ran; raise it")
    return [_counted(kernel) for kernel in profiler.results()]


def trace_kernels(function: Callable[[], object]) -> list[Kernel]:
    """Run `function` under the tracer and return its kernels, in order of start."""
    cupti = open_cupti()
    with cupti.trace():
        function()
    kernels: list[Kernel] = cupti.kernels()
    return kernels


def _counted(kernel: KernelCounters) -> CountedKernel:
    return CountedKernel(kernel.name, **dict(zip(KERNEL_METRICS, kernel.values, strict=True)))
