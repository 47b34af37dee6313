"""The one clock of a run: monotonic, the same in all processes of a machine."""

import time

now_ns = time.perf_counter_ns


def epoch_offset_ns() -> int:
    """What to add to a `now_ns` reading to get nanoseconds since the epoch; within about a microsecond."""
    before = now_ns()
    epoch = time.time_ns()
    return epoch - (before + now_ns()) // 2
