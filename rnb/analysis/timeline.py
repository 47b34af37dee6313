"""Latency and throughput over time, small enough for a picture of any run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.statistics import MIN_COUNTS
from rnb.analysis.steady_state import is_bulk
from rnb.record.run import Run

Floats = NDArray[np.float64]
MAX_POINTS = 10_000
"""Of more requests only figures of slices are kept."""
PER_SLICE, PER_TAIL_SLICE = 25, 1_000
"""How many requests a slice of time has on average, and one that has a p99."""
MIN_SLICES, MAX_SLICES = 8, 400


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Figures of equal slices of the measured phase, all (num_slices,)."""

    middles_s: Floats
    values: Floats
    """NaN where there are too few requests."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All times are seconds from the start of the measured phase.

    A request stands where it was due; where all were due at once, where it ended.
    """

    is_by_end: bool
    at_s: Floats | None
    """Of each measured request that finished, ascending; None where there are more than MAX_POINTS."""
    latency_ms: Floats | None
    p50_ms: Slices
    p99_ms: Slices | None
    """Of longer slices; None where no two of them have enough requests."""
    slowest_ms: Slices
    offered_per_s: Slices | None
    """How many were due; None where all were due at once."""
    served_per_s: Slices
    """How many finished."""


def timeline(run: Run) -> Timeline | None:
    """None where no measured request finished."""
    rows, seconds = np.flatnonzero(run.finished), run.seconds
    if not len(rows) or seconds <= 0:
        return None
    bulk = is_bulk(run)
    due_s, ends_s = ((times - run.window_ns[0]) / 1e9 for times in (run.due_ns, run.ends_ns))
    at_s, latency_ms = (ends_s if bulk else due_s)[rows], run.latency_ms[rows]
    order = np.argsort(at_s, kind="stable")
    at_s, latency_ms = at_s[order], latency_ms[order]
    is_small = len(rows) <= MAX_POINTS
    edges = _edges(seconds, int(np.clip(len(rows) // PER_SLICE, MIN_SLICES, MAX_SLICES)))
    tail_edges = _edges(seconds, min(len(rows) // PER_TAIL_SLICE, MAX_SLICES))
    return Timeline(
        is_by_end=bulk,
        at_s=at_s if is_small else None,
        latency_ms=latency_ms if is_small else None,
        p50_ms=_percentiles(at_s, latency_ms, edges, 50),
        p99_ms=_percentiles(at_s, latency_ms, tail_edges, 99) if len(tail_edges) > 2 else None,
        slowest_ms=_percentiles(at_s, latency_ms, edges, 100),
        offered_per_s=None if bulk else _rates(due_s[run.is_measured], edges),
        served_per_s=_rates(ends_s[rows], edges),
    )


def _edges(seconds: float, num_slices: int) -> Floats:
    return np.linspace(0.0, seconds, num_slices + 1)


def _middles(edges: Floats) -> Floats:
    return edges[:-1] + np.diff(edges) / 2


def _percentiles(at_s: Floats, values: Floats, edges: Floats, percent: float) -> Slices:
    """The nearest rank of each slice; `at_s` ascends."""
    num_slices = len(edges) - 1
    slices = np.clip(np.searchsorted(edges, at_s, "right") - 1, 0, num_slices - 1)
    counts = np.bincount(slices, minlength=num_slices)
    in_order = values[np.lexsort((values, slices))]
    ranks = np.maximum(np.ceil(np.round(percent * counts / 100, 9)).astype(np.intp), 1)
    found = np.full(num_slices, np.nan)
    is_enough = counts >= MIN_COUNTS.get(percent, 1)
    starts = np.cumsum(counts) - counts
    found[is_enough] = in_order[(starts + ranks - 1)[is_enough]]
    return Slices(middles_s=_middles(edges), values=found)


def _rates(times_s: Floats, edges: Floats) -> Slices:
    counts = np.histogram(times_s, edges)[0]
    return Slices(middles_s=_middles(edges), values=counts / np.diff(edges))
