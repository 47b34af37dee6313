"""Who else computes on the CPUs of a run: the processes that take most of their time, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rnb.observe.children import Children
from rnb.observe.cpu_time import cpu_time_s

INTERVAL_S = 5.0
"""Between two looks; a process that has ended is known by what it had used at the last one."""
MIN_SHARE, MAX_NAMED = 0.02, 5
"""Of a CPU over the run; and how many processes are named."""


class OtherProcesses:
    """Watches all processes of this machine but the run's own, from when it is made."""

    def __init__(self, own: Collection[int], cpus: Collection[int]) -> None:
        self._own, self._cpus = frozenset(own), frozenset(cpus)
        self._children = Children(self._own - {os.getpid()})
        self._began_s = time.monotonic()
        self._due_s = self._began_s + INTERVAL_S
        self._before_s = self._used_s()
        self._found: dict[int, dict[str, Any]] = {}

    def adopt(self, pid: int) -> None:
        """One more process of the run's own."""
        self._own |= {pid}
        self._children.adopt(pid)

    def look(self) -> None:
        """To be called often; it looks every INTERVAL_S."""
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + INTERVAL_S
            self._note()

    def busiest(self) -> list[dict[str, Any]]:
        """Name, pid and seconds of CPU time of those that used most, as JSON."""
        self._note()
        least_s = MIN_SHARE * (time.monotonic() - self._began_s)
        found = [one for one in self._found.values() if one["cpu_s"] >= least_s]
        return sorted(found, key=lambda one: -float(one["cpu_s"]))[:MAX_NAMED]

    def _note(self) -> None:
        used_s = {pid: total_s - self._before_s.get(pid, 0.0) for pid, total_s in self._used_s().items()}
        for pid in sorted(used_s, key=lambda pid: -used_s[pid])[:MAX_NAMED]:
            if name := self._name(pid):
                self._found[pid] = {"name": name, "pid": pid, "cpu_s": round(used_s[pid], 3)}

    def _used_s(self) -> dict[int, float]:
        """CPU time of each process so far."""
        pids = {int(name) for name in os.listdir("/proc") if name.isdecimal()} - self._own
        pids -= self._children.alive()
        used_s = {pid: cpu_time_s(pid) for pid in pids}
        return {pid: seconds for pid, seconds in used_s.items() if seconds == seconds}

    def _name(self, pid: int) -> str:
        """What the kernel calls it; empty where it has ended, or runs on other CPUs."""
        with contextlib.suppress(OSError):
            if not self._cpus.isdisjoint(os.sched_getaffinity(pid)):
                return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        return ""
