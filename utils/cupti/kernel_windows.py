"""Which kernels a process ran, from a short stretch of every few seconds: to trace them all costs too much.

    windows = KernelWindows()
    windows.prepare()                  # raises CuptiUnavailable: say so, and go on without
    windows.start(first_ns)
    ...                                # the process works as always, with any number of threads
    found = windows.stop()

Kernels that a CUDA graph launches are traced one by one, as others are.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from utils.cupti.bridge import open_cupti
from utils.cupti.errors import CuptiError
from utils.cupti.kernel_summary import busy_per_bin, gaps, top_kernels

BIN_NS = 1_000_000
"""How finely the kernel time of a window is told."""
NUM_NAMES = 40
"""Of one window; the time of all other kernels is added up under OTHERS."""
OTHERS = "(all others)"
MAX_WINDOWS = 720


@dataclass(frozen=True, kw_only=True)
class Window:
    """What ran in one window. Times are those of `time.perf_counter_ns`."""

    start_ns: int
    end_ns: int
    num_kernels: int
    busy_ns: int
    """How long at least one kernel ran."""
    num_gaps: int
    gap_p50_ns: float
    gap_p99_ns: float
    gap_max_ns: int
    """Between kernels; NaN and 0 without a gap."""
    names: list[str]
    num_launches: list[int]
    total_ns: list[int]
    theoretical_occupancy_pct: list[float]
    """By kernel, the one with the most time first; NaN where it is not known."""
    bin_ns: int
    busy_per_bin_ns: NDArray[np.float32]
    """How long a kernel ran in each `bin_ns` of the window: (num_bins,)."""


@dataclass(kw_only=True)
class WindowedKernels:
    """What a process ran, window by window."""

    windows: list[Window] = field(default_factory=list)
    num_dropped: int = 0
    """Records that CUPTI had no room for."""
    problem: str = ""
    """What ended the tracing early; '' if nothing did."""


class KernelWindows:
    """Traces the kernels of this process for `window_s` of every `period_s`, on a thread of its own.

    After MAX_WINDOWS the period doubles, and doubles again, so that what is kept stays small.
    """

    def __init__(self, *, window_s: float = 0.5, period_s: float = 5.0) -> None:
        if not 0 < window_s <= period_s:
            raise ValueError(f"window_s: {window_s}; must be positive and at most period_s, {period_s}")
        self._window_s, self._period_s = window_s, period_s
        self._cupti: ModuleType | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._found = WindowedKernels()

    def prepare(self) -> None:
        """Load CUPTI and try it, so that nothing of that happens later. Raises CuptiUnavailable."""
        self._cupti = open_cupti()
        self._cupti.initialize(copies=False)
        self._cupti.finalize()

    def start(self, first_ns: int) -> None:
        """Trace the first window from `first_ns` on, the others a period apart: processes can agree on it."""
        assert self._cupti is not None
        self._thread = threading.Thread(
            target=self._trace_windows, args=(self._cupti, first_ns), name="kernel windows", daemon=True
        )
        self._thread.start()

    def stop(self) -> WindowedKernels:
        """End the tracing; a window that is open is cut short."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        return self._found

    def _trace_windows(self, cupti: ModuleType, next_ns: int) -> None:
        try:
            while not self._wait_until(next_ns):
                self._trace_window(cupti, time.perf_counter_ns() + int(self._window_s * 1e9))
                next_ns += int(self._period_s * 1e9)
        except CuptiError as error:
            self._found.problem = str(error)

    def _wait_until(self, time_ns: int) -> bool:
        """Whether the end came first."""
        return self._stopping.wait(max(0.0, (time_ns - time.perf_counter_ns()) / 1e9))

    def _trace_window(self, cupti: ModuleType, end_ns: int) -> None:
        cupti.initialize(copies=False)
        start_ns = time.perf_counter_ns()
        self._wait_until(end_ns)
        end_ns = time.perf_counter_ns()
        cupti.finalize()
        table = cupti.kernel_table()
        self._found.num_dropped += cupti.num_dropped()
        cupti.clear()
        self._keep(_window(_inside(table, start_ns, end_ns), start_ns, end_ns, cupti))

    def _keep(self, window: Window) -> None:
        windows = self._found.windows
        windows.append(window)
        if len(windows) > MAX_WINDOWS:
            del windows[1::2]
            self._period_s *= 2


def _inside(table: dict[str, Any], start_ns: int, end_ns: int) -> dict[str, Any]:
    """The kernels that lie in the window; one that still ran at its end has no times yet."""
    rows = (table["start_ns"] >= start_ns) & (table["end_ns"] > table["start_ns"])
    rows &= table["end_ns"] <= end_ns
    return {key: value if isinstance(value, list) else value[rows] for key, value in table.items()}


def _window(table: dict[str, Any], start_ns: int, end_ns: int, cupti: ModuleType) -> Window:
    top, idle = top_kernels(table, NUM_NAMES), gaps(table)
    num_others = len(table["name"]) - sum(kernel.num_launches for kernel in top)
    durations_ns = table["end_ns"] - table["start_ns"]
    others_ns = int(durations_ns.sum()) - sum(kernel.total_ns for kernel in top)
    has_others = [num_others] if num_others else []
    edges_ns = np.arange(start_ns, end_ns + BIN_NS, BIN_NS)
    return Window(
        start_ns=start_ns,
        end_ns=end_ns,
        num_kernels=len(table["name"]),
        busy_ns=idle.busy_ns,
        num_gaps=idle.num_gaps,
        gap_p50_ns=idle.p50_ns,
        gap_p99_ns=idle.p99_ns,
        gap_max_ns=idle.max_ns,
        names=[cupti.demangle(kernel.name) for kernel in top] + [OTHERS] * len(has_others),
        num_launches=[kernel.num_launches for kernel in top] + has_others,
        total_ns=[kernel.total_ns for kernel in top] + [others_ns] * len(has_others),
        theoretical_occupancy_pct=[kernel.theoretical_occupancy_pct for kernel in top]
        + [float("nan")] * len(has_others),
        bin_ns=BIN_NS,
        busy_per_bin_ns=busy_per_bin(table, edges_ns).astype(np.float32),
    )
