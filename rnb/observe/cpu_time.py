"""The CPU time that a process has used so far."""

from __future__ import annotations

import math
import time

_CPUCLOCK_SCHED = 2


def cpu_time_s(pid: int) -> float:
    """Of all its threads, to the nanosecond: /proc/<pid>/stat has ticks of 10 ms. NaN when it has ended.

    Source: clock_getcpuclockid(3); the id is what the kernel's MAKE_PROCESS_CPUCLOCK makes of the pid.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return math.nan
