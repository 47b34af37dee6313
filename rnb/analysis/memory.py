"""What the replicas of a run held in memory, and whether that grows with each request: a leak.

A leak is told where the floor of what a process held rises steadily. The samples after a warm-up are cut
into NUM_SPANS spans of as many calls; the floor of a span is the least that was held in it, which temporary
tensors and a garbage collector that waits do not move. All of these must hold: the floors' trend is not
chance (H. B. Mann, Nonparametric tests against trend, Econometrica 13(3), 1945); by the slope of H. Theil and
P. K. Sen (Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1968) they have grown by
at least MIN_GROWTH_BYTES and MIN_GROWTH_SHARE; half of that is there without the NUM_JUMPS largest rises,
unlike where a larger request once needs more; and they still rise in the second half (MIN_LATE_SHARE), unlike
an allocator that fills its pools.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run, Table
from rnb.record.tables import MEMORY

WARMUP_SHARE = 0.1
NUM_SPANS = 20
MIN_REQUESTS = 100
"""After the warm-up: of fewer a leak cannot be told from a start."""
NUM_JUMPS, MIN_SPREAD_SHARE = 2, 0.5
MIN_Z = 3.3
"""Of Mann's test: one steady process in two thousand goes over it by chance."""
MIN_GROWTH_BYTES, MIN_GROWTH_SHARE = 4_000_000, 0.02
MIN_LATE_SHARE = 1 / 3
"""Of the growth, in the second half; a steady leak has a half of it there."""


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Of the processes of one replica."""

    replica: str
    held_bytes: int
    """At the end, after a call."""
    most_held_bytes: int
    """After any call."""
    peak_bytes: int
    by_rows: dict[str, int]
    """The most that was held or peaked in calls of so many rows: by 'rows' up to the next power of two."""
    by_pixels: dict[str, int]
    """The same by the largest picture of the call, in pixels; empty where no step said how large they are."""
    growth_per_request_bytes: float | None
    """None: it does not grow, or so few requests do not tell."""

    @property
    def step(self) -> str:
        return self.replica.partition(".")[0]


def memory_uses(run: Run) -> list[MemoryUse]:
    """Of each replica; none without --memory."""
    table = run.tables.get(MEMORY)
    if not table:
        return []
    return [_use(str(name), _rows_of(table, "replica", name)) for name in np.unique(table["replica"])]


def _rows_of(table: Table, column: str, value: object) -> Table:
    which = table[column] == value
    return {name: values[which] for name, values in table.items()}


def _use(replica: str, table: Table) -> MemoryUse:
    growths = [
        growth_per_request(table["held_bytes"][own], table["num_requests"][own]) for own in _lives(table)
    ]
    return MemoryUse(
        replica=replica,
        held_bytes=int(table["held_bytes"][-1]),
        most_held_bytes=int(table["held_bytes"].max()),
        peak_bytes=int(table["peak_bytes"].max()),
        by_rows=dict(_by_size(table, np.maximum(table["num_rows"], 1))),
        by_pixels=dict(_by_size(table, table["num_pixels"])) if "num_pixels" in table else {},
        growth_per_request_bytes=max(filter(None, growths), default=None),
    )


def _lives(table: Table) -> Iterator[NDArray[np.bool_]]:
    """The samples of each process of a replica."""
    for pid in np.unique(table["pid"]):
        yield table["pid"] == pid


def _by_size(table: Table, sizes: NDArray[np.int64]) -> Iterator[tuple[str, int]]:
    """Of the calls with a size; up to each power of two."""
    is_known = sizes > 0
    classes = np.ceil(np.log2(sizes[is_known])).astype(int)
    most = np.maximum(table["held_bytes"], table["peak_bytes"])[is_known]
    for one in np.unique(classes):
        yield f"<= {2**one}", int(most[classes == one].max())


def growth_per_request(held_bytes: NDArray[np.int64], num_requests: NDArray[np.int64]) -> float | None:
    """Bytes that one process kept of each request; None: none, or not so that it could be told.

    Args:
        held_bytes: after each of its calls, (num_calls,).
        num_requests: of each call.
    """
    first = math.ceil(WARMUP_SHARE * len(held_bytes))
    held, served = held_bytes[first:], np.cumsum(num_requests)[first:]
    if len(held) < NUM_SPANS or served[-1] - served[0] < MIN_REQUESTS:
        return None
    edges = np.linspace(0, len(held), NUM_SPANS + 1).astype(np.intp)[:-1]
    floors = np.minimum.reduceat(held, edges).astype(np.float64)
    growth = _theil_sen(floors) * (NUM_SPANS - 1)
    if growth < max(MIN_GROWTH_BYTES, MIN_GROWTH_SHARE * float(np.median(floors))) or _mann_z(floors) < MIN_Z:
        return None
    spread = np.sort(np.diff(floors))[:-NUM_JUMPS].sum()
    late = floors[-1] - floors[NUM_SPANS // 2]
    if spread < MIN_SPREAD_SHARE * growth or late < MIN_LATE_SHARE * growth:
        return None
    spans = served[edges]
    return float(growth / (spans[-1] - spans[0]))


def _mann_z(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Mann's statistic of a trend, in standard errors of one that is chance."""
    signs = np.sign(np.subtract.outer(values, values))
    n = len(values)
    return float(np.tril(signs).sum() / math.sqrt(n * (n - 1) * (2 * n + 5) / 18))


def _theil_sen(values: NDArray[np.float64]) -> float:
    """The median of the slopes of all pairs, a value a step."""
    later, earlier = np.tril_indices(len(values), -1)
    return float(np.median((values[later] - values[earlier]) / (later - earlier)))
