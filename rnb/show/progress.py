"""How a run is getting on: two lines redrawn in place on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.early_stopping import min_requests
from rnb.contract.events import DUE, SENT
from rnb.observe.observer import End, Observer, Seen, Start, Watched
from rnb.show import console
from rnb.transport.fabric import FAILED, FINISHED, Table

TERMINAL_INTERVAL_S = 0.5
PLAIN_INTERVAL_S = 10.0
MAX_SHARE_OF_CORE = 0.01
"""A look that takes much CPU time is followed by a longer pause."""
RATE_SPAN_S = 3.0
NUM_RECENT = 1000
"""How many of the last finished requests the p99 is of."""
ROWS_AT_ONCE = 4096
DEFAULT_WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands."""

    seconds: float
    num_requests: int
    num_sent: int
    num_finished: int
    num_failed: int
    finished_per_s: float
    """Over the last RATE_SPAN_S."""
    p99_ms: float | None
    """End to end, of the last NUM_RECENT that count; None while they are too few for it."""
    depths: Sequence[int]
    """How many messages wait for each step."""

    def lines(self) -> list[str]:
        p99 = "-" if self.p99_ms is None else f"{self.p99_ms:,.1f} ms"
        waiting = ", ".join(f"{depth:,} for step {step}" for step, depth in enumerate(self.depths))
        return [
            f"{self.seconds:.0f} s: {self.num_sent:,} of {self.num_requests:,} sent,"
            f" {self.num_finished:,} finished, {self.num_failed:,} failed;"
            f" {self.finished_per_s:,.1f}/s, p99 {p99}",
            f"waiting: {waiting}",
        ]


class Tracker:
    """Follows the request table while others write it. `depths`: how many messages wait for each step."""

    def __init__(
        self, table: Table, *, num_warmup: int = 0, depths: Callable[[], Sequence[int]] = lambda: ()
    ) -> None:
        self._table, self._num_warmup, self._depths = table, num_warmup, depths
        self._sent = _Changes(table.column(SENT))
        self._done = _Changes(table.outcomes["status"])
        self._num_sent = self._num_finished = self._num_failed = 0
        self._recent_ms = np.empty(0)
        self._start_s = time.monotonic()
        self._history = deque([(self._start_s, 0)])
        self._min_recent = min_requests(1, 99)

    def look(self) -> Standing:
        """Where the run stands now."""
        self._num_sent += len(self._sent.find())
        self._note_done(self._done.find())
        now_s = time.monotonic()
        self._history.append((now_s, self._num_finished))
        while len(self._history) > 2 and self._history[1][0] < now_s - RATE_SPAN_S:
            self._history.popleft()
        since_s, num_before = self._history[0]
        return Standing(
            seconds=now_s - self._start_s,
            num_requests=self._table.num_requests,
            num_sent=self._num_sent,
            num_finished=self._num_finished,
            num_failed=self._num_failed,
            finished_per_s=(self._num_finished - num_before) / max(now_s - since_s, 1e-9),
            p99_ms=self._p99_ms(),
            depths=self._depths(),
        )

    def _note_done(self, rows: NDArray[np.int64]) -> None:
        status = self._table.outcomes["status"][rows]
        finished = rows[status == FINISHED]
        self._num_finished += len(finished)
        self._num_failed += int(np.count_nonzero(status == FAILED))
        counted = finished[finished >= self._num_warmup]
        counted = counted[self._table.times[counted, -1] != 0]  # other nodes tell their times at the end
        finish_ns = self._table.times[counted, -1]
        latency_ms = (finish_ns - self._table.column(DUE)[counted]) / 1e6
        in_order = latency_ms[np.argsort(finish_ns)][-NUM_RECENT:]
        self._recent_ms = np.concatenate([self._recent_ms, in_order])[-NUM_RECENT:]

    def _p99_ms(self) -> float | None:
        if len(self._recent_ms) < self._min_recent:
            return None
        return float(np.percentile(self._recent_ms, 99))


class _Changes:
    """Finds the rows of a shared column that are not 0 any more.

    They change roughly in order, so it looks at those that were passed over, and from there on only while it
    finds changes; looking at a million rows each time would take cycles from what is measured.
    """

    def __init__(self, column: NDArray[np.generic]) -> None:
        self._column = column
        self._passed_over: NDArray[np.int64] = np.empty(0, np.int64)
        self._next = 0

    def find(self) -> NDArray[np.int64]:
        """The rows that have changed since the last call."""
        has_changed = self._column[self._passed_over] != 0
        found, left = [self._passed_over[has_changed]], [self._passed_over[~has_changed]]
        while self._next < len(self._column):
            rows = np.arange(self._next, min(self._next + ROWS_AT_ONCE, len(self._column)))
            has_changed = self._column[rows[0] : rows[-1] + 1] != 0
            if not has_changed.any():
                break
            found.append(rows[has_changed])
            left.append(rows[~has_changed])
            self._next = int(rows[-1]) + 1
        self._passed_over = np.concatenate(left)
        return np.concatenate(found)


class Progress(Observer):
    """Shows on stderr where a run stands, when that is due."""

    name = "progress"

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._interval_s = TERMINAL_INTERVAL_S if self._is_terminal else PLAIN_INTERVAL_S
        self._num_lines = 0
        self._watched: Watched | None = None
        self._tracker: Tracker | None = None

    def prepare(self, watched: Watched) -> None:
        self._watched = watched

    def start(self, start: Start) -> None:
        assert self._watched is not None
        watched = self._watched
        self._tracker = Tracker(watched.table, num_warmup=watched.num_warmup, depths=watched.depths)
        self._due_s = time.monotonic() + self._interval_s

    def stop(self, end: End) -> Seen:
        self.kill()
        return Seen()

    def kill(self) -> None:
        """Leave no half of it on the terminal."""
        if self._num_lines:
            console.draw(self._to_first_line())
            self._num_lines = 0

    def look(self) -> None:
        if self._tracker is None or console.is_quiet() or time.monotonic() < self._due_s:
            return
        before_s = time.thread_time()
        lines = self._tracker.look().lines()
        if self._is_terminal:
            self._redraw(lines)
        else:
            console.warn("; ".join(lines))
        took_s = time.thread_time() - before_s
        self._due_s = time.monotonic() + max(self._interval_s, took_s / MAX_SHARE_OF_CORE)

    def _redraw(self, lines: Sequence[str]) -> None:
        width = _terminal_width() - 1
        console.draw(self._to_first_line() + "\n".join(line[:width] for line in lines))
        self._num_lines = len(lines)

    def _to_first_line(self) -> str:
        """Control codes of ECMA-48: to the start of what was drawn before, and clear from there."""
        up = f"\x1b[{self._num_lines - 1}A" if self._num_lines > 1 else ""
        return f"\r{up}\x1b[J"


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH
