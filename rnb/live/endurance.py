"""When a replica that died is replaced, and when it is given up."""

from __future__ import annotations

import time

from rnb.processes.replacement import NEVER

EARLY_S = 60.0
"""One that dies sooner after it began to serve, or before, has died early."""
MOST_EARLY_DEATHS = 5
"""After so many in a row it is given up."""
FIRST_WAIT_S = 0.5


class Endurance:
    """Of one replica."""

    def __init__(self) -> None:
        self._num_early, self._began_s = 0, time.monotonic()

    def begin(self) -> None:
        """It serves from now on."""
        self._began_s = time.monotonic()

    def wait_s(self, *, was_serving: bool) -> float:
        """It has died: after how long another process takes its place; NEVER: it is given up.

        The first one does at once, and each further one after twice the time.
        """
        is_early = not was_serving or time.monotonic() - self._began_s < EARLY_S
        self._num_early = self._num_early + 1 if is_early else 1
        if self._num_early >= MOST_EARLY_DEATHS:
            return NEVER
        return 0.0 if self._num_early == 1 else FIRST_WAIT_S * 2.0 ** (self._num_early - 2)
