"""What the run's processes have started themselves: it computes for the run."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Collection
from pathlib import Path

from rnb.observe.cpu_time import cpu_time_s

SEARCH_INTERVAL_S = 1.0
"""Looking through all processes takes 0.1 ms per hundred."""


class Children:
    """Below processes that each lead a process group, as a run's do (rnb/processes/supervisor.py)."""

    def __init__(self, leaders: Collection[int]) -> None:
        self._leaders = frozenset(leaders)
        self._due_s, self._alive = 0.0, frozenset[int]()

    def adopt(self, leader: int) -> None:
        """One more process."""
        self._leaders |= {leader}

    def cpu_s(self) -> float:
        """CPU time of all of them so far, also of those that have ended and were waited for."""
        alive = [cpu_time_s(pid) for pid in self.alive()]
        return sum(map(_waited_for_s, self._leaders)) + sum(one for one in alive if not math.isnan(one))

    def alive(self) -> frozenset[int]:
        """The pids of those that were there a second ago."""
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + SEARCH_INTERVAL_S
            pids = {int(name) for name in os.listdir("/proc") if name.isdecimal()} - self._leaders
            self._alive = frozenset(pid for pid in pids if _group(pid) in self._leaders)
        return self._alive


def _group(pid: int) -> int:
    """0: it has ended."""
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _waited_for_s(pid: int) -> float:
    """CPU time of a process's children that have ended. Source: proc(5), cutime and cstime of stat."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return 0.0
