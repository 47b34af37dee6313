"""Ends a probe that has missed its bound so often that the rest of it can change nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE
from rnb.observe.observer import Observer, Watched
from rnb.play import Interruption
from rnb.transport.fabric import FINISHED, Table

LOOK_EVERY = 4
"""Looks; of a run's twenty a second."""


class EarlyEnd(Observer):
    """Interrupts the run it observes once more than `max_over` measured requests are over the bound.

    A request is over it when it finished later, and when it is open for so long.
    """

    def __init__(self, *, bound_ms: float, max_over: int) -> None:
        self.bound_ms, self.max_over = bound_ms, max_over
        self.interruption = Interruption()
        """The run's."""
        self.has_ended = False
        """Whether this interrupted it; it may be interrupted otherwise."""
        self._num_looks = 0

    def prepare(self, watched: Watched) -> None:
        self._table, self._num_warmup, self._clock = watched.table, watched.num_warmup, watched.clock

    def look(self) -> None:
        self._num_looks += 1
        if self._num_looks % LOOK_EVERY or self.interruption.is_set:
            return
        if num_over(self._table, self._num_warmup, self.bound_ms, self._clock.now_ns()) > self.max_over:
            self.has_ended = True
            self.interruption.set()


def num_over(table: Table, num_warmup: int, bound_ms: float, now_ns: int) -> int:
    """How many of the measured requests that are due took longer than the bound, or are open for longer."""
    due_ns: NDArray[np.int64] = table.column(DUE)[num_warmup:]
    is_done = table.outcomes["status"][num_warmup:] == FINISHED
    until_ns = np.where(is_done, table.times[num_warmup:].max(axis=1, initial=0), now_ns)
    return int(np.count_nonzero((due_ns > 0) & (until_ns - due_ns > bound_ms * 1e6)))
