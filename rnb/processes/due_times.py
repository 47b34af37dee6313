"""When requests are due, on a node that did not send them: by its own clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnb.transport.fabric import Table


class DueTimes:
    """For whoever drops what comes too late."""

    def __init__(self, table: Table, arrivals_ns: NDArray[np.int64]) -> None:
        """`arrivals_ns`: of each request, from the start of the timed part."""
        self._table, self._arrivals_ns = table, arrivals_ns
        self._start_ns: int | None = None

    def note(self, start_ns: int) -> None:
        """When the timed part began, as is known now: the clocks of two machines drift apart."""
        if start_ns != self._start_ns:
            self._start_ns = start_ns
            self._table.note_due(range(self._table.num_requests), start_ns + self._arrivals_ns)
