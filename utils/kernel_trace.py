"""Which kernels a runner's requests launched, for a limited stretch of its run: tracing every kernel costs
too much to leave on (docs/cupti.md has the figures).

    trace = KernelTrace("r2p1d", seconds=2.0)
    trace.start()                      # raises CuptiUnavailable: say so, and go on without
    for request in requests:
        with trace.request(request.id):
            ...                        # launch
    summary = trace.stop()
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from utils.cupti_bridge import open_cupti
from utils.kernel_summary import Gaps, KernelTime, gaps, select, top_kernels


@dataclass(frozen=True)
class DeviceKernels:
    """What one step's process ran on one GPU while it was traced; times as in `kernel_summary`."""

    step: str
    device: int
    num_kernels: int
    num_requests: int
    top: list[KernelTime]
    gaps: Gaps


@dataclass(frozen=True)
class KernelTraceSummary:
    """A trace's result: one entry for each GPU used, and the records that CUPTI dropped (0: complete)."""

    devices: list[DeviceKernels]
    num_dropped: int


class KernelTrace:
    """Traces one step from `start()` for `seconds`, or until `stop()`; afterwards `request()` costs nothing.

    One at a time in a process: CUPTI allows one tracing client.
    """

    def __init__(self, step: str, *, seconds: float = 2.0, num_top: int = 10) -> None:
        if seconds <= 0:
            raise ValueError(f"seconds: {seconds}; a positive duration is needed")
        self.step = step
        self._duration_ns = int(seconds * 1e9)
        self._num_top = num_top
        self._end_ns = 0
        self._cupti: ModuleType | None = None

    def start(self) -> None:
        self._cupti = open_cupti()
        self._cupti.initialize(correlate=True)
        self._end_ns = time.perf_counter_ns() + self._duration_ns

    @contextmanager
    def request(self, request: int) -> Iterator[None]:
        """What the block launches on this thread belongs to `request`; past its time, the trace ends."""
        cupti = self._cupti
        if cupti is None or not cupti.is_tracing():
            yield
        elif time.perf_counter_ns() >= self._end_ns:
            cupti.finalize()
            yield
        else:
            with cupti.region(self.step, request):
                yield

    def stop(self) -> KernelTraceSummary:
        """End the trace if it still runs, waiting for the kernels launched, and return what it saw."""
        if self._cupti is None:
            raise RuntimeError("KernelTrace.stop(): not started")
        cupti, self._cupti = self._cupti, None
        cupti.finalize()
        table = cupti.kernel_table()
        devices = [self._summarize(table, device) for device in sorted(set(table["device"].tolist()))]
        num_dropped = cupti.num_dropped()
        cupti.clear()
        return KernelTraceSummary(devices, num_dropped)

    def _summarize(self, table: dict[str, Any], device: int) -> DeviceKernels:
        rows = select(table, device=device)
        return DeviceKernels(
            step=self.step,
            device=device,
            num_kernels=len(rows["name"]),
            num_requests=len({request for request in rows["request"].tolist() if request >= 0}),
            top=top_kernels(rows, self._num_top),
            gaps=gaps(rows),
        )
