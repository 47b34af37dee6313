"""The flag that ends a run, and the reasons to raise it."""

import enum
import multiprocessing

from rnb.shared_memory import SharedMemory


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
        self._memory.array("int64", (1,))[0] = Termination.UNSET

    @property
    def reason(self) -> Termination:
        return Termination(int(self._memory.array("int64", (1,))[0]))

    def raise_flag(self, reason: Termination) -> None:
        if self.reason is Termination.UNSET:
            self._memory.array("int64", (1,))[0] = reason

    def check(self) -> None:
        """Raise Stopped when the run is over, or when the driver has died without saying so."""
        if self.reason is not Termination.UNSET:
            raise Stopped
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            raise Stopped
