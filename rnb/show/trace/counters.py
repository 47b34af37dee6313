"""Numbers over time: how many requests wait for each step, and what was measured beside the run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.calls import Visits
from rnb.record.over_nodes import by_node
from rnb.record.run import Run, Table, Times
from rnb.record.tables import TELEMETRY
from rnb.show.trace.processes import RUN, Processes
from rnb.show.trace.writer import TraceWriter

MOST_POINTS = 20_000
"""Of one counter. Of more points, the largest of each group of neighbours is written."""

_UNITS = {"percent": "%", "pct": "%", "mhz": "MHz", "w": "W", "c": "°C", "reasons": "(bit mask)"}


def write_waiting(writer: TraceWriter, visits: Visits) -> None:
    """How many requests, or segments, wait before a step; of those that were taken in the end."""
    time_ns = np.concatenate((visits.put_ns, visits.taken_ns))
    changes = np.repeat((1, -1), len(visits.put_ns))
    order = np.argsort(time_ns, kind="stable")
    _write(
        writer, f"waiting for step {visits.step}", "requests", RUN, time_ns[order], np.cumsum(changes[order])
    )


def write_measured(writer: TraceWriter, run: Run, processes: Processes) -> None:
    """What was measured beside the run over time: a counter for each column of numbers, of what it tells."""
    for name, table in run.tables.items():
        if "time_ns" not in table:
            continue
        for node, columns in (by_node(table) if name == TELEMETRY else {0: table}).items():
            _write_columns(writer, run, partial(processes.of_telemetry, node=node), columns)


def _write_columns(
    writer: TraceWriter, run: Run, process_of: Callable[[str], int | None], columns: Table
) -> None:
    since_start = columns["time_ns"] >= run.start_ns
    time_ns = columns["time_ns"][since_start]
    for column in sorted(columns.keys() - {"time_ns"}):
        if np.issubdtype(columns[column].dtype, np.number):
            _write_column(writer, process_of, column, time_ns, columns[column][since_start])


def _write_column(
    writer: TraceWriter,
    process_of: Callable[[str], int | None],
    column: str,
    time_ns: Times,
    values: NDArray[Any],
) -> None:
    place, _, quantity = column.rpartition(".")
    pid = process_of(place)
    if pid is not None:
        name, _, unit = quantity.rpartition("_")
        _write(writer, name.replace("_", " ") or "use", _UNITS.get(unit, unit), pid, time_ns, values)


def _write(writer: TraceWriter, name: str, unit: str, pid: int, time_ns: Times, values: NDArray[Any]) -> None:
    time_ns, values = _thin_out(time_ns, np.asarray(values, dtype=np.float64))
    writer.counter(name, unit=unit, pid=pid, time_ns=time_ns, values=values)


def _thin_out(time_ns: Times, values: NDArray[np.float64]) -> tuple[Times, NDArray[np.float64]]:
    """Only known values that differ from the last one."""
    known = np.isfinite(values)
    time_ns, values = time_ns[known], values[known]
    if len(values) > MOST_POINTS:
        groups = np.linspace(0, len(values), MOST_POINTS, endpoint=False).astype(np.int64)
        time_ns, values = time_ns[groups], np.maximum.reduceat(values, groups)
    differs = np.diff(values, prepend=np.nan) != 0
    return time_ns[differs], values[differs]
