"""The part of --occupancy in a runner: which kernels it launched, told to the driver at the end.

`utils.cupti` has what talks to CUPTI; it is imported when it is asked for, as nothing else of a run needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rnb.contract.probe import Tell

if TYPE_CHECKING:
    from utils.cupti.kernel_windows import KernelWindows, WindowedKernels

FIRST_WINDOW_NS = 250_000_000
"""From the start of the run to that of the first window."""


@dataclass(kw_only=True)
class KernelRecord:
    """What a runner tells: what it found, or why it could not look."""

    found: WindowedKernels | None = None
    problem: str = ""


@dataclass(kw_only=True)
class KernelProbe:
    """Traces the kernels of a runner on a GPU for `window_s` of each `period_s`; of others nothing."""

    observer: str
    gpus: frozenset[str]
    """The runners that compute on a GPU, by name."""
    window_s: float = 0.5
    period_s: float = 5.0
    _windows: KernelWindows | None = field(default=None, init=False)
    _tell: Tell | None = field(default=None, init=False)

    def prepare(self, tell: Tell) -> None:
        """Before the first work on the GPU: CUPTI sees the graphs that are made later too."""
        import multiprocessing

        if multiprocessing.current_process().name not in self.gpus:
            return
        from utils.cupti.errors import CuptiError
        from utils.cupti.kernel_windows import KernelWindows

        self._tell = tell
        windows = KernelWindows(window_s=self.window_s, period_s=self.period_s)
        try:
            windows.prepare()
            self._windows = windows
        except CuptiError as error:
            tell(KernelRecord(problem=str(error)))

    def start(self, start_ns: int) -> None:
        if self._windows is not None:
            self._windows.start(start_ns + FIRST_WINDOW_NS)

    def stop(self) -> None:
        """Tell the driver what was found."""
        if self._windows is not None and self._tell is not None:
            found = self._windows.stop()
            self._tell(KernelRecord(found=found, problem=found.problem))
