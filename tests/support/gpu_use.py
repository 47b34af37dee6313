"""What a sampler and tracers would have seen of two steps that take turns on one GPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnb.observe.occupancy_tables import Replica
from utils.cupti.gpu_sampler import GpuSamples
from utils.cupti.kernel_windows import Window, WindowedKernels

MS = 1_000_000
LOADER = Replica(name="step 0.0", step=0, number=0, gpu=0)
NETWORK = Replica(name="step 1.0", step=1, number=0, gpu=0)
LOADER_OCCUPANCY, NETWORK_OCCUPANCY = 20.0, 60.0
TURN_MS = 20
"""For so long one step's kernels run, then the other's."""
SAMPLE_MS = 2


def samples(num_ms: int, *, first_ns: int = 0, device: int = 0) -> GpuSamples:
    """Half of the time 20 % occupancy, the other half 60 %; the tensor cores work in the second only."""
    start_ns = first_ns + MS * np.arange(0, num_ms, SAMPLE_MS)
    is_network = (start_ns - first_ns) // (TURN_MS * MS) % 2 == 1
    columns = {
        "occupancy_pct": np.where(is_network, NETWORK_OCCUPANCY, LOADER_OCCUPANCY),
        "sm_busy_pct": np.where(is_network, 90.0, 30.0),
        "tensor_pct": np.where(is_network, 50.0, 0.0),
    }
    return GpuSamples(device, start_ns, start_ns + SAMPLE_MS * MS, columns)


def window(start_ms: int, num_ms: int, *, turn: int) -> Window:
    """The kernels of the step whose turn it is first (0) or second (1): one that fills its turns."""
    ms = start_ms + np.arange(num_ms)
    busy: NDArray[np.float32] = np.where(ms // TURN_MS % 2 == turn, MS, 0).astype(np.float32)
    return Window(
        start_ns=start_ms * MS,
        end_ns=(start_ms + num_ms) * MS,
        num_kernels=num_ms,
        busy_ns=int(busy.sum()),
        num_gaps=9,
        gap_p50_ns=1000.0 * (1 + turn),
        gap_p99_ns=20_000.0,
        gap_max_ns=TURN_MS * MS,
        names=["convolution", "copy"] if turn else ["resize"],
        num_launches=[num_ms - 10, 10] if turn else [num_ms],
        total_ns=[int(0.75 * busy.sum()), int(0.25 * busy.sum())] if turn else [int(busy.sum())],
        theoretical_occupancy_pct=[25.0, float("nan")] if turn else [50.0],
        bin_ns=MS,
        busy_per_bin_ns=busy,
    )


def traced(*start_ms: int, num_ms: int = 200) -> dict[Replica, WindowedKernels]:
    return {
        replica: WindowedKernels(windows=[window(at_ms, num_ms, turn=turn) for at_ms in start_ms])
        for turn, replica in enumerate((LOADER, NETWORK))
    }
