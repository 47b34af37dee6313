"""Where the time goes until a run starts: each process notes what it is at, and tells the driver."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rnb.record.start_up import Phase
from rnb.transport.clock import now_ns

TOLD = "phases"
"""What a child calls it on its line."""

DRIVER = "driver"

PROCESS = "process"
"""From when a process was asked for until it began with its part of the run: interpreter, imports, its task.
Of the driver: flags, schedule and plan too, and runs before this one."""


class Timed(NamedTuple):
    """Readings of the clock."""

    what: str
    worker: int | None
    start_ns: int
    end_ns: int

    def moved(self, by_ns: int) -> Timed:
        """The same by a clock that is so much ahead."""
        return self._replace(start_ns=self.start_ns + by_ns, end_ns=self.end_ns + by_ns)


class StartUp:
    """What one process does until it is ready; several threads may note."""

    def __init__(self) -> None:
        self.began_ns = now_ns()
        self.phases: list[Timed] = []

    @contextlib.contextmanager
    def phase(self, what: str, worker: int | None = None) -> Iterator[None]:
        start_ns = now_ns()
        try:
            yield
        finally:
            self.phases.append(Timed(what, worker, start_ns, now_ns()))

    def told(self) -> tuple[int, list[Timed]]:
        """What goes to the driver."""
        return self.began_ns, self.phases


def timed_of_children(
    told: Mapping[str, tuple[int, list[Timed]]], spawned_ns: Mapping[str, int]
) -> list[tuple[str, Timed]]:
    """What each did, with its name.

    `told`: what they told; `spawned_ns`: when they were asked for; both by name.
    """
    return [
        (name, one)
        for name, (began_ns, phases) in told.items()
        for one in (Timed(PROCESS, None, spawned_ns[name], began_ns), *phases)
    ]


def phases_of_run(driver: StartUp, children: Sequence[tuple[str, Timed]]) -> list[Phase]:
    """Those of all processes, by when they began."""
    own = Timed(PROCESS, None, process_began_ns(), driver.began_ns)
    timed = [*((DRIVER, one) for one in (own, *driver.phases)), *children]
    found = [
        Phase(
            process=name,
            worker=one.worker,
            what=one.what,
            from_s=round((one.start_ns - driver.began_ns) / 1e9, 4),
            seconds=round((one.end_ns - one.start_ns) / 1e9, 4),
        )
        for name, one in timed
    ]
    return sorted(found, key=lambda phase: phase.from_s)


def process_began_ns() -> int:
    """When this process was started, within 10 ms (proc_pid_stat(5))."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return now_ns() - int(age_s * 1e9)
