"""What a pipeline keeps of the requests that it has answered: counts, and parts of a run folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from rnb.live.asking import Histogram, StepStatistics
from rnb.live.ledger import Ledger
from rnb.live.part_writer import PartWriter
from rnb.live.settings import Serving
from rnb.live.table import LiveTable
from rnb.live.tally import Tally
from rnb.transport.fabric import Clock

LEDGER_SIZE = 1000
"""Requests are counted and handed over so many at a time, so that the loop is never held up for long."""
MOST_PART_BYTES = 64 << 20
"""Of results and names; a part with more of them ends early."""


class Books:
    """Of one pipeline; used in its event loop alone."""

    def __init__(self, table: LiveTable, tally: Tally, serving: Serving, clock: Clock) -> None:
        self._table, self._tally, self._serving, self._clock = table, tally, serving, clock
        self._parts: PartWriter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._num_in_part = self._part_bytes = 0
        self._begin_ledger()

    def _begin_ledger(self) -> None:
        self._ledger = Ledger(self._table, min(LEDGER_SIZE, self._serving.log_part - self._num_in_part))
        self._num_counted = 0

    def begin(self, parts: PartWriter | None) -> None:
        """From now on requests are answered; `parts`: who writes them, None: nobody."""
        self._parts = parts
        self._time_part()

    def add(self, row: int, outcome: int, ended_ns: int, **told: Any) -> None:
        """As of Ledger."""
        self._ledger.add(self._table, row, outcome, ended_ns, **told)
        if self._ledger.is_full:
            self._hand_over()

    def statistics(self) -> Mapping[str, StepStatistics]:
        self._count()
        return self._tally.statistics(self._clock.epoch_offset_ns())

    def histograms(self) -> Mapping[str, Histogram]:
        self._count()
        return self._tally.histograms()

    def end(self) -> None:
        """No more requests are answered."""
        self._hand_over(is_last=True)
        if self._timer is not None:
            self._timer.cancel()

    def wait_until_written(self) -> None:
        if self._parts is not None:
            self._parts.end()

    def _count(self) -> None:
        self._tally.count(self._ledger, self._num_counted)
        self._num_counted = self._ledger.num_requests

    def _hand_over(self, *, is_last: bool = False) -> None:
        """Count and keep what the ledger has, and begin a new one; `is_last`: the part ends with it."""
        self._count()
        ledger, most = self._ledger, self._serving.log_part
        self._num_in_part += ledger.num_requests
        self._part_bytes += ledger.num_bytes
        is_last = is_last or self._num_in_part >= most or self._part_bytes > MOST_PART_BYTES
        if self._parts is not None:
            self._parts.hand_over(ledger, is_last=is_last)
        if is_last:
            self._num_in_part = self._part_bytes = 0
            self._time_part()
        self._begin_ledger()

    def _time_part(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        end = partial(self._hand_over, is_last=True)
        self._timer = asyncio.get_running_loop().call_later(60 * self._serving.log_minutes, end)
