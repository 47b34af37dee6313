"""The flag that ends a run."""

from __future__ import annotations

import multiprocessing
from typing import Any

from rnb.contract.termination import Termination
from rnb.transport.clock import now_ns
from rnb.transport.fabric import Stopped
from rnb.transport.local.shared_memory import SharedMemory

PARENT_CHECK_NS = 100_000_000
"""Asking whether the driver lives takes a system call, too much for each request."""


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
