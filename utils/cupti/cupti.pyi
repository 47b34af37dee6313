"""Types of the bridge that ./build_cupti.sh compiles from cupti.cpp; docs/cupti.md says how to use it.

Times are nanoseconds of `time.perf_counter_ns`. Every call may raise `utils.cupti.errors.CuptiError`, or its
`CuptiUnavailable` where this machine does not offer what was asked.
"""

from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

API_VERSION: int
has_counters: bool

class _Record:
    start_ns: int
    end_ns: int
    duration_ns: int
    device: int
    context: int
    stream: int
    correlation_id: int
    step: str | None
    request: int | None

class Kernel(_Record):
    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    registers_per_thread: int
    static_shared_bytes: int
    dynamic_shared_bytes: int
    theoretical_occupancy_pct: float | None

class Copy(_Record):
    kind: str
    bytes: int

# Tracing: one tracer a process.
def initialize(*, correlate: bool = False, copies: bool = True) -> None: ...
def finalize() -> None: ...
def flush() -> None: ...
def clear() -> None: ...
def is_tracing() -> bool: ...
def report() -> list[tuple[str, int, int]]: ...
def kernels() -> list[Kernel]: ...
def copies() -> list[Copy]: ...
def kernel_table() -> dict[str, Any]: ...
def num_dropped() -> int: ...
def demangle(name: str) -> str: ...

class trace:
    def __init__(self, *, correlate: bool = False, copies: bool = True) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class region:
    def __init__(self, step: str, request: int | None = None) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

class DeviceLimits:
    compute_major: int
    compute_minor: int
    max_threads_per_block: int
    max_threads_per_sm: int
    registers_per_block: int
    registers_per_sm: int
    warp_size: int
    shared_bytes_per_block: int
    shared_bytes_per_block_optin: int
    shared_bytes_per_sm: int
    reserved_shared_bytes_per_block: int
    num_sms: int
    def __init__(self, **fields: int) -> None: ...

def device_limits(device: int) -> DeviceLimits: ...
def theoretical_occupancy_pct(
    limits: DeviceLimits,
    *,
    threads_per_block: int,
    registers_per_thread: int,
    static_shared_bytes: int = 0,
    dynamic_shared_bytes: int = 0,
    shared_config_bytes: int = 0,
) -> float: ...

# Counters: only where `has_counters`; else each of these raises CuptiUnavailable.
def chip_name(device: int) -> str: ...
def supported_chips() -> list[str]: ...
def num_passes(metrics: list[str], *, chip: str, sampling: bool) -> int: ...

class KernelCounters:
    name: str
    values: list[float]

class RangeProfiler:
    metrics: list[str]
    num_passes: int
    num_dropped: int
    def __init__(self, device: int, metrics: list[str], *, max_kernels: int = 1024) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def results(self) -> list[KernelCounters]: ...

class PmSampler:
    metrics: list[str]
    num_overflows: int
    def __init__(
        self,
        device: int,
        metrics: list[str],
        *,
        interval_ns: int = 1_000_000,
        decode_period_ns: int = 100_000_000,
        hardware_buffer_bytes: int = 67_108_864,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def take(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...
