"""How high something rose for a while: the highest mean over any stretch of a run, not a moment's peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnb.record.run import Run, Times

MIN_STRETCH_S, STRETCH_SHARE = 1.0, 0.1
"""A stretch is a tenth of the measured phase and at least a second, or all of a shorter phase."""
MIN_KNOWN_SHARE = 0.5
"""So much of a stretch must be known."""


def stretch_ns(run: Run) -> int:
    """How long a stretch of this run is."""
    start_ns, end_ns = run.window_ns
    return min(end_ns - start_ns, round(max(MIN_STRETCH_S * 1e9, STRETCH_SHARE * (end_ns - start_ns))))


def highest_mean(run: Run, times_ns: Times, values: NDArray[np.float64]) -> float | None:
    """The highest mean of the values over any stretch of the measured phase; None: nothing is known.

    values[i] is of the time from times_ns[i - 1] to times_ns[i]; NaN: not known.
    """
    start_ns, end_ns = run.window_ns
    length_ns = stretch_ns(run)
    if len(times_ns) < 2 or length_ns <= 0:
        return None
    inside = times_ns[(times_ns > start_ns) & (times_ns < end_ns)]
    starts_ns = np.concatenate([[start_ns, end_ns - length_ns], inside, inside - length_ns])
    starts_ns = starts_ns[(starts_ns >= start_ns) & (starts_ns <= end_ns - length_ns)]
    is_known = ~np.isnan(values[1:])
    spans_ns = np.diff(times_ns)

    def between(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The integral over each stretch."""
        integral = np.concatenate([[0.0], np.cumsum(weights * spans_ns)])
        ends = np.interp(starts_ns + length_ns, times_ns, integral)
        found: NDArray[np.float64] = ends - np.interp(starts_ns, times_ns, integral)
        return found

    known_ns = between(is_known.astype(np.float64))
    enough = known_ns >= MIN_KNOWN_SHARE * length_ns
    if not enough.any():
        return None
    totals = between(np.where(is_known, values[1:], 0.0))
    return float((totals[enough] / known_ns[enough]).max())
