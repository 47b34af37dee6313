"""What a node's table has, as it is sent to the driver and put into the table there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.contract.events import DUE, Event, EventKind
from rnb.transport.clock_sync import ClockFit
from rnb.transport.fabric import FAILED, FINISHED, UNFINISHED, Table, served_by_names

Ids = NDArray[np.int64]
TOLD = {"num_clips": 0, "width": 0, "height": 0, "codec": b""}
"""What steps tell of a request whatever becomes of it, with what stands for nothing."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What a node knows of some requests."""

    times: dict[Event, tuple[Ids, NDArray[np.int64]]]
    """Of which requests, and when, by that node's clock; not when they were due, which the driver says."""
    served_by: dict[str, tuple[Ids, NDArray[np.int32]]]
    """By the name of the column."""
    outcomes: tuple[Ids, NDArray[Any]]
    results: dict[int, Any]


class Reporter:
    """In a node: tells each row, with its result, when it has its outcome, and at the end what is left.

    Where the node may die and the run go on, it tells before that what it has of requests that have left.
    """

    def __init__(self, table: Table, first_bridge: int | None = None) -> None:
        """`first_bridge`: its number, see JobRules; None: what has left is told at the end."""
        self._table, self._first_bridge = table, first_bridge
        self._moves_told = np.zeros(table.num_requests, np.int64)
        self._is_told = np.zeros(table.num_requests, bool)
        self._results: dict[int, Any] = {}
        """Those that are no classes, of rows that have not been told."""

    def news(self) -> Rows | None:
        """Those that have their outcome here since the last time, or have left; None: there are none."""
        is_done = (self._table.outcomes["status"] != UNFINISHED) & ~self._is_told
        is_new = is_done | self._have_left()
        self._is_told |= is_done
        return self._rows(is_new) if is_new.any() else None

    def _have_left(self) -> NDArray[np.bool_]:
        if self._first_bridge is None:
            return np.zeros(self._table.num_requests, bool)
        moves = self._table.moves.copy()
        have_left: NDArray[np.bool_] = self._table.holders >= self._first_bridge
        have_left &= moves != self._moves_told
        self._moves_told[have_left] = moves[have_left]
        return have_left

    def rest(self) -> Rows:
        """All that was not told yet."""
        which = ~self._is_told
        self._is_told |= which
        return self._rows(which)

    def _rows(self, which: NDArray[np.bool_]) -> Rows:
        ids = np.flatnonzero(which)
        times, outcomes = self._table.times[ids], self._table.outcomes[ids]
        known = (
            (outcomes["status"] != UNFINISHED) | (outcomes["num_clips"] != 0) | (outcomes["reason"] != b"")
        )
        return Rows(
            times={
                event: (ids[column != 0], column[column != 0])
                for event, column in zip(self._table.events, times.T, strict=True)
                if column.any() and event != DUE
            },
            served_by=self._served_by(ids),
            outcomes=(ids[known], outcomes[known]),
            results=self._results_told(),
        )

    def _served_by(self, ids: Ids) -> dict[str, tuple[Ids, NDArray[np.int32]]]:
        """Those of who has taken them, read once: a request that has left may come back meanwhile."""
        columns = {name: column[ids] for name, column in self._table.served_by_columns().items()}
        return {
            name: (ids[column >= 0], column[column >= 0])
            for name, column in columns.items()
            if (column >= 0).any()
        }

    def _results_told(self) -> dict[int, Any]:
        """Of the rows that have been told by now; a result is there before its outcome."""
        self._results |= self._table.new_results()
        told = {
            request_id: result for request_id, result in self._results.items() if self._is_told[request_id]
        }
        self._results = {one: result for one, result in self._results.items() if one not in told}
        return told


def note_outcomes(table: Table, rows: Rows) -> None:
    """While the run plays: which requests are done."""
    ids, outcomes = rows.outcomes
    is_news = outcomes["status"] != UNFINISHED
    table.outcomes["status"][ids[is_news]] = outcomes["status"][is_news]


def merge(table: Table, rows: Rows, clock: ClockFit, node: int, since_ns: Ids | None = None) -> None:
    """Put what a node told into the driver's table, in the driver's time.

    `since_ns`: of each request, when its last try began; what the node has of those before is left out.
    """
    old: dict[str, Ids] = {}
    for event, (ids, times) in rows.times.items():
        here = clock.here(times)
        is_last = here >= (0 if since_ns is None else since_ns[ids])
        table.column(event)[ids[is_last]] = here[is_last]
        if event.kind is EventKind.TAKEN:
            old |= dict.fromkeys(served_by_names(event), ids[~is_last])
    columns = table.served_by_columns()
    for name, (ids, values) in rows.served_by.items():
        is_last = ~np.isin(ids, old.get(name, ()))
        columns[name][ids[is_last]] = values[is_last]
    _merge_results(table, rows)
    _merge_outcomes(table, *rows.outcomes, node)


def _merge_results(table: Table, rows: Rows) -> None:
    """One whose outcome is another node's is of a try that came to nothing."""
    ids, outcomes = rows.outcomes
    finished = set(ids[outcomes["status"] == FINISHED].tolist())
    for request_id, result in rows.results.items():
        if request_id in finished or table.outcomes["status"][request_id] == UNFINISHED:
            table.finish(request_id, result)


def _merge_outcomes(table: Table, ids: Ids, told: NDArray[Any], node: int) -> None:
    is_finished, is_done = told["status"] == FINISHED, told["status"] != UNFINISHED
    known = {name: told[name] != nothing for name, nothing in TOLD.items()}
    known |= {"label": is_finished, "score": is_finished, "status": is_done}
    for name, which in known.items():
        table.outcomes[name][ids[which]] = told[name][which]
    has_reason = told["reason"] != b""
    for request_id, outcome in zip(ids[has_reason].tolist(), told[has_reason], strict=True):
        where = f"node {node}: " if outcome["status"] == FAILED else ""
        table.note(request_id, where + outcome["reason"].decode(errors="replace"))
