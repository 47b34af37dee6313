"""The distribution of a run's latency, and where the time went in its fast and its slow part."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.early_stopping import min_requests
from rnb.analysis.statistics import part_durations_ms
from rnb.contract.events import Stage
from rnb.record.run import Run

NUM_POINTS = 240
MAX_NINES = 5
EDGES = (0.0, 0.5, 0.9, 0.99, 1.0)
"""Of the bands: the faster half of the requests, the next 40 %, 9 % and the slowest 1 %."""
MIN_IN_BAND = 5
"""A band of fewer requests is left out."""


@dataclass(frozen=True, kw_only=True)
class LatencyBand:
    """The mean of each stage over the requests between two percentiles of the latency."""

    low: float
    high: float
    """Shares of the requests, 0 to 1."""
    num_requests: int
    stages_ms: dict[Stage, float]
    """In the order in which a request meets them; they add up to the mean latency."""

    @property
    def latency_ms(self) -> float:
        return math.fsum(self.stages_ms.values())


@dataclass(frozen=True, kw_only=True)
class LatencyCurve:
    """From the scheduled time to the end, of the measured requests that finished."""

    num_nines: int
    """How many nines of the tail there are requests for: 2 is p99."""
    shares: NDArray[np.float64]
    """Ascending, from 0 to 0.9…9 with num_nines nines."""
    latencies_ms: NDArray[np.float64]
    """The latency that each share of the requests does not exceed."""
    whole: LatencyBand
    bands: tuple[LatencyBand, ...]


def latency_curve(run: Run) -> LatencyCurve | None:
    """None where no request finished."""
    rows = np.flatnonzero(run.finished)
    if not len(rows):
        return None
    latency_ms = run.latency_ms[rows]
    order = np.argsort(latency_ms, kind="stable")
    num_nines = _num_nines(len(rows))
    shares = _shares(num_nines)
    ranks = np.maximum(np.ceil(shares * len(rows) - 1e-9).astype(np.intp) - 1, 0)
    stages_ms = part_durations_ms(run, rows)
    bands = [_band(stages_ms, order, low, high) for low, high in itertools.pairwise(EDGES)]
    return LatencyCurve(
        num_nines=num_nines,
        shares=shares,
        latencies_ms=latency_ms[order[ranks]],
        whole=_band(stages_ms, order, 0.0, 1.0),
        bands=tuple(band for band in bands if band.num_requests >= MIN_IN_BAND),
    )


def _num_nines(num_requests: int) -> int:
    """By LoadGen's fewest requests for a percentile with one request over it; at least 1."""
    nines = range(MAX_NINES, 1, -1)
    return next((nine for nine in nines if num_requests >= min_requests(1, 100 - 100 * 10.0**-nine)), 1)


def _shares(num_nines: int) -> NDArray[np.float64]:
    """Closer and closer to 1, so that each nine has as many."""
    return 1 - 10 ** -np.linspace(0.0, num_nines, NUM_POINTS)


def _band(
    stages_ms: dict[Stage, NDArray[np.float64]], order: NDArray[np.intp], low: float, high: float
) -> LatencyBand:
    rows = order[math.floor(low * len(order)) : math.floor(high * len(order))]
    means = {stage: float(values[rows].mean()) if len(rows) else 0.0 for stage, values in stages_ms.items()}
    return LatencyBand(low=low, high=high, num_requests=len(rows), stages_ms=means)
