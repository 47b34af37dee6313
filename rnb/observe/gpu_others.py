"""Who else computes on a GPU of the run, and how much of it they take."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rnb.observe.nvml import Gpu

RECENT_S = 1.0
"""NVML has a value for each process a few times a second."""
MPS = "nvidia-cuda-mps"
"""How the processes of MPS are called: they compute for their clients, who are listed themselves."""


class GpuOthers:
    """Asks one GPU about the processes that are not the run's own.

    How much each takes costs the driver 2 ms to tell (H200, driver 580), so that is asked only while there
    is somebody else.
    """

    def __init__(self, gpu: Gpu, own: Collection[int]) -> None:
        self._gpu, self._own = gpu, frozenset(own)
        self._names: dict[int, str] = {}

    def adopt(self, pid: int) -> None:
        """One more process of the run's own."""
        self._own |= {pid}

    def percent(self) -> float:
        """What they took of the GPU's time in the last second or so; NaN: it cannot be told."""
        present = self._gpu.process_memory_bytes().keys()
        if present and present.isdisjoint(self._own):
            return math.nan  # in a container whose processes NVML calls by other numbers
        others = {pid for pid in present - self._own if not self._name(pid).startswith(MPS)}
        if not others:
            return 0.0
        used = self._gpu.process_percent(since_us=time.time_ns() // 1000 - round(RECENT_S * 1e6))
        return math.nan if used is None else sum(used.get(pid, 0.0) for pid in others)

    def seen(self) -> list[dict[str, Any]]:
        """Name and pid of those that were on the GPU, as JSON."""
        return [
            {"name": name or "unknown", "pid": pid}
            for pid, name in self._names.items()
            if not name.startswith(MPS)
        ]

    def _name(self, pid: int) -> str:
        """Empty of a process that cannot be seen from here."""
        if pid not in self._names:
            self._names[pid] = ""
            with contextlib.suppress(OSError):
                self._names[pid] = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        return self._names[pid]
