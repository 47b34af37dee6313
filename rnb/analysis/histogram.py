"""How many requests took how long, in bins that are equally wide on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run

PER_DECADE = 240
"""The finest bins: each is 1 % wide."""
WIDTHS = (24, 12, 6, 3, 2, 1)
"""How many of the finest bins may be drawn as one."""
MIN_BINS = 24
"""Over the range of the latencies, where the finest ones give as many."""
LEAST_MS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Of the latencies of the measured requests that finished; bins of all runs have the same edges."""

    first: int
    """The number of the first bin; bin k begins at 10^(k / PER_DECADE) ms."""
    counts: NDArray[np.int64]

    @property
    def last(self) -> int:
        return self.first + len(self.counts) - 1


@dataclass(frozen=True, kw_only=True)
class Bins:
    edges_ms: NDArray[np.float64]
    """(num_bins + 1,)"""
    counts: NDArray[np.int64]


def histogram(run: Run) -> Histogram | None:
    """None where nothing finished."""
    latency_ms = run.latency_ms[run.finished]
    if not len(latency_ms):
        return None
    bins = np.floor(PER_DECADE * np.log10(np.maximum(latency_ms, LEAST_MS))).astype(np.int64)
    first = int(bins.min())
    return Histogram(first=first, counts=np.bincount(bins - first).astype(np.int64))


def common_bins(histograms: Sequence[Histogram]) -> list[Bins]:
    """The same bins for all: as wide as leaves enough of them to see a shape."""
    first = min(one.first for one in histograms)
    last = max(one.last for one in histograms)
    width = next((width for width in WIDTHS if (last - first + 1) / width >= MIN_BINS), WIDTHS[-1])
    low, num_bins = first // width, last // width - first // width + 1
    edges_ms = 10.0 ** (np.arange(low, low + num_bins + 1) * width / PER_DECADE)
    return [Bins(edges_ms=edges_ms, counts=_merged(one, low, num_bins, width)) for one in histograms]


def _merged(one: Histogram, low: int, num_bins: int, width: int) -> NDArray[np.int64]:
    places = np.arange(one.first, one.last + 1) // width - low
    merged: NDArray[np.int64] = np.bincount(places, one.counts, num_bins).astype(np.int64)
    return merged
