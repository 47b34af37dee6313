"""Calls that take longer than they would: --fault slow."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rnb.transport.clock import now_ns

SPIN_NS = 200_000
"""Before the end a worker stays awake: a sleep ends some 60 us late, or more."""


@dataclass(frozen=True, kw_only=True)
class Slowdown:
    """Times in ns from the start of the timed part."""

    start_ns: int
    end_ns: int | None
    factor: float
    """How many times as long a call takes that begins in between."""


class Slowness:
    """The slowdowns of a replica, from when the timed part begins."""

    def __init__(self, slowdowns: Sequence[Slowdown], start_ns: int) -> None:
        self._slowdowns, self._start_ns = slowdowns, start_ns

    def hold(self, started_ns: int) -> None:
        """Called when a call's work is done: wait for as long as it would still take."""
        factor = self._factor(started_ns - self._start_ns) if self._slowdowns else 1.0
        if factor == 1.0:
            return
        end_ns = started_ns + round(factor * (now_ns() - started_ns))
        time.sleep(max(0, end_ns - SPIN_NS - now_ns()) / 1e9)
        while now_ns() < end_ns:
            pass

    def _factor(self, at_ns: int) -> float:
        return math.prod(
            one.factor
            for one in self._slowdowns
            if one.start_ns <= at_ns and (one.end_ns is None or at_ns < one.end_ns)
        )
