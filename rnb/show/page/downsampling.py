"""Fewer points that draw the same line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 1_200
"""Of a line; a chart is at most about 1,600 pixels wide."""


def thin_out(
    x: NDArray[np.float64], y: NDArray[np.float64], max_points: int = MAX_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first, last, lowest and highest point of each of max_points / 4 equal intervals of x; x ascends.

    No peak is lost, however short. This is M4 of Jugel et al., 'M4: A Visualization-Oriented Time Series Data
    Aggregation', VLDB 2014.
    """
    if len(x) <= max_points:
        return x, y
    edges = np.linspace(x[0], x[-1], max_points // 4 + 1)[:-1]
    starts = np.unique(np.searchsorted(x, edges))
    ends = np.append(starts[1:], len(x))
    kept = [starts, ends - 1, _extreme(y, starts, np.minimum), _extreme(y, starts, np.maximum)]
    rows = np.unique(np.concatenate(kept))
    return x[rows], y[rows]


def average(
    x: NDArray[np.float64], y: NDArray[np.float64], end: float, num_spans: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middles of equal spans from 0 to `end`, and the mean of y in each; without those that have none."""
    inside = (x >= 0) & (x < end) & np.isfinite(y)
    span = np.minimum((x[inside] / end * num_spans).astype(np.intp), num_spans - 1)
    counts = np.bincount(span, minlength=num_spans)
    sums = np.bincount(span, y[inside], minlength=num_spans)
    known = np.flatnonzero(counts)
    return (known + 0.5) * end / num_spans, sums[known] / counts[known]


def _extreme(y: NDArray[np.float64], starts: NDArray[np.intp], ufunc: np.ufunc) -> NDArray[np.intp]:
    """The row of the lowest (np.minimum) or highest value of each interval."""
    values = ufunc.reduceat(y, starts)
    interval = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(y))))
    rows = np.flatnonzero((y == values[interval]) | np.isnan(y))
    return rows[np.unique(interval[rows], return_index=True)[1]]
