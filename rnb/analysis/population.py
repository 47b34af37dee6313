"""How many are in a place over time: requests in a queue, requests in the system."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]


class Population:
    """A step function of time, from when each one came and left: two float64 arrays in seconds.

    Who never left has inf as the time of leaving.
    """

    def __init__(self, came_s: Seconds, left_s: Seconds) -> None:
        # Rows are in order of arrival, so the times nearly are: what a stable sort (timsort) is fast at.
        self._came_s = np.sort(came_s, kind="stable")
        self._left_s = np.sort(left_s[np.isfinite(left_s)], kind="stable")

    def at(self, times_s: Seconds) -> NDArray[np.int64]:
        """How many there are right after each of these times."""
        came = np.searchsorted(self._came_s, times_s, "right")
        left = np.searchsorted(self._left_s, times_s, "right")
        return came.astype(np.int64) - left

    def means(self, edges_s: Seconds) -> NDArray[np.float64]:
        """The time average between each edge and the next, (len(edges_s) - 1,), exactly."""
        area = _area(self._came_s, edges_s) - _area(self._left_s, edges_s)
        means: NDArray[np.float64] = np.diff(area) / np.diff(edges_s)
        return means

    def max(self, start_s: float, end_s: float) -> int:
        """The most that there are at once, which is right after one has come."""
        first, last = np.searchsorted(self._came_s, [start_s, end_s], "right")
        times_s = np.concatenate([[start_s], self._came_s[first:last]])
        return int(self.at(times_s).max())


def _area(sorted_s: Seconds, until_s: Seconds) -> NDArray[np.float64]:
    """The sum of (until - time) over the times before each `until`."""
    count = np.searchsorted(sorted_s, until_s, "right")
    sums = np.concatenate([[0.0], np.cumsum(sorted_s)])
    area: NDArray[np.float64] = count * until_s - sums[count]
    return area
