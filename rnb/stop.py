"""The flag that ends a run, and the reasons to raise it."""

import enum
import multiprocessing
from typing import Any

from rnb.clock import now_ns
from rnb.shared_memory import SharedMemory

PARENT_CHECK_NS = 100_000_000
"""Asking whether the driver lives takes a system call, too much for each request."""


class Termination(enum.IntEnum):
    """Why a run ended; the first three have the values that snuspl/rnb writes to log-meta.txt."""

    UNSET = -1
    TARGET_NUM_VIDEOS_REACHED = 0
    FILENAME_QUEUE_FULL = 1
    FRAME_QUEUE_FULL = 2
    PROCESS_FAILED = 3
    INTERRUPTED = 4


class Stopped(Exception):
    """The run is over; whoever waits for something gives up."""


class StopFlag:
    """A flag in shared memory: the first reason to stop is kept."""

    def __init__(self) -> None:
        self._memory = SharedMemory(8)
        self._map()
        self._reason[0] = Termination.UNSET

    def _map(self) -> None:
        self._reason = memoryview(self._memory.buffer).cast("q")
        self._parent_checked_ns = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"_memory": self._memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    @property
    def reason(self) -> Termination:
        return Termination(self._reason[0])

    def raise_flag(self, reason: Termination) -> None:
        if self.reason is Termination.UNSET:
            self._reason[0] = reason

    def check(self) -> None:
        """Raise Stopped when the run is over, or when the driver has died without saying so."""
        if self._reason[0] != _UNSET:
            raise Stopped
        if now_ns() - self._parent_checked_ns > PARENT_CHECK_NS:
            self._parent_checked_ns = now_ns()
            parent = multiprocessing.parent_process()
            if parent is not None and not parent.is_alive():
                raise Stopped


_UNSET = int(Termination.UNSET)
