"""The clock of a machine: monotonic, and the same in all its processes."""

from __future__ import annotations

import ctypes
import time

_PR_SET_TIMERSLACK = 29

now_ns = time.perf_counter_ns


class LocalClock:
    """The clock of a run on one machine; timestamps are its readings until they are written to files."""

    now_ns = staticmethod(time.perf_counter_ns)

    @staticmethod
    def epoch_offset_ns() -> int:
        """What to add to a reading to get nanoseconds since the epoch; within about a microsecond."""
        before = now_ns()
        epoch = time.time_ns()
        return epoch - (before + now_ns()) // 2


def sleep_precisely() -> None:
    """Let this thread's sleeps end within microseconds; Linux delays them by up to 50 us to save power."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
