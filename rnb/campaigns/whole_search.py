"""The search for the most of what comes in whole numbers, such as live streams, that keeps a bound.

Double, then bisect. It ends at two numbers of which the lower one keeps the bound and the higher one does
not: next to each other, or within RESOLUTION of what is between them. A number is played once; a second time
only if it is one of those two and the first probe left it undecided.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from rnb.campaigns.peak_search import (
    MAX_DOUBLINGS,
    MAX_HALVINGS,
    RESOLUTION,
    UNDECIDED,
    Peak,
    Probe,
    ProbeResult,
)

MOST_PROBES = 2
"""Of a number; if none of them decides, all their requests together do."""


class WholeSearch:
    """A search, of which what is known so far can be had at any time."""

    def __init__(self, probe: Probe, *, share: float, step_per_s: float) -> None:
        """`share`: of the requests that may be over the bound. `step_per_s`: the rate of one."""
        self.probes: list[ProbeResult] = []
        self._probe, self._share, self._step_per_s = probe, share, step_per_s
        self._played: defaultdict[int, list[ProbeResult]] = defaultdict(list)
        """The probes of each number."""

    def run(self, start_per_s: float) -> None:
        """Probe until the peak is known."""
        number: int | None = max(1, round(start_per_s / self._step_per_s))
        while number is not None:
            result = self._probe(number * self._step_per_s, False)
            self.probes.append(result)
            self._played[number].append(result)
            number = self._next()

    def peak(self) -> Peak:
        """What the probes so far tell."""
        low, high = _bracket({one: self._is_over(one) for one in self._played if self._is_known(one)})
        return Peak(
            low_per_s=low and low * self._step_per_s,
            high_per_s=high and high * self._step_per_s,
            best_per_s=None,
        )

    def _is_over(self, number: int) -> bool:
        probes = self._played[number]
        return sum(one.num_over for one in probes) > self._share * sum(one.num_requests for one in probes)

    def _is_known(self, number: int) -> bool:
        probes = self._played[number]
        return len(probes) == MOST_PROBES or probes[0].verdict != UNDECIDED

    def _next(self) -> int | None:
        """The number to play now; None: the search is done."""
        low, high = _bracket({one: self._is_over(one) for one in self._played})
        first = next(iter(self._played))
        if low is None and high is not None and high > max(1, first >> MAX_HALVINGS):
            return high // 2
        if high is None and low is not None and low < first << MAX_DOUBLINGS:
            return 2 * low
        if low and high and high > low + 1 and math.log(high / low) / 2 > RESOLUTION:
            return min(max(round(math.sqrt(low * high)), low + 1), high - 1)
        return next((one for one in (low, high) if one and not self._is_known(one)), None)


def _bracket(is_over: Mapping[int, bool]) -> tuple[int | None, int | None]:
    """The highest number that seems to keep the bound, and the lowest that does not.

    All that keep it are below all that do not: new numbers are between those two or beyond them, and only
    they are played again.
    """
    low = max((number for number, is_one in is_over.items() if not is_one), default=None)
    return low, min((number for number, is_one in is_over.items() if is_one), default=None)
