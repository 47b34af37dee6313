"""The runner's part of --occupancy: which kernels it launched, told to the driver at the end.

`utils` has what talks to CUPTI; it is imported when it is asked for, as nothing else of a run needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnb.control import Control

if TYPE_CHECKING:
    from utils.kernel_windows import KernelWindows, WindowedKernels

FIRST_WINDOW_NS = 250_000_000
"""From the start of the run to that of the first window."""


@dataclass(frozen=True, kw_only=True)
class KernelWindowing:
    """How much of a run is traced."""

    window_s: float = 0.5
    period_s: float = 5.0


@dataclass(kw_only=True)
class KernelRecord:
    """What a runner tells: what it found, or why it could not look."""

    found: WindowedKernels | None = None
    problem: str = ""


@dataclass
class KernelRecorder:
    """Without `windowing` it does nothing."""

    control: Control
    windowing: KernelWindowing | None
    _windows: KernelWindows | None = field(default=None, init=False)

    def prepare(self) -> None:
        """Before the first work on the GPU: CUPTI sees the graphs that are made later too."""
        if self.windowing is None:
            return
        from utils.cupti_errors import CuptiError
        from utils.kernel_windows import KernelWindows

        windows = KernelWindows(window_s=self.windowing.window_s, period_s=self.windowing.period_s)
        try:
            windows.prepare()
            self._windows = windows
        except CuptiError as error:
            self.control.tell("kernels", KernelRecord(problem=str(error)))

    @contextlib.contextmanager
    def recording(self, start_ns: int) -> Iterator[None]:
        """Record while inside, then tell the driver."""
        if self._windows is None:
            yield
            return
        self._windows.start(start_ns + FIRST_WINDOW_NS)
        try:
            yield
        finally:
            found = self._windows.stop()
            self.control.tell("kernels", KernelRecord(found=found, problem=found.problem))
