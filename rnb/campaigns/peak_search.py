"""The search for the highest rate that keeps a bound: bracket it, then probe around where it seems to be.

A probe is a function from a rate to a ProbeResult, so that the search knows nothing of runs. Each probe draws
its own arrivals, so the probes tell together where the limit is and how well that is known
(rnb/analysis/rate_limit.py). The search ends when that is within RESOLUTION, after MAX_PROBES, or after
MOST_LOAD.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnb.analysis.rate_limit import Counted, RateLimit, find_limit

PASSES, FAILS, UNDECIDED = "passes", "fails", "undecided"
RESOLUTION = 0.05
"""The search ends when the range is at most this share to either side."""
MAX_PROBES, MIN_PROBES = 22, 12
MOST_LOAD = 18.5
"""Once the limit is bracketed, no probe begins after as much load as so many long ones at the limit."""
MAX_DOUBLINGS = 20
MAX_HALVINGS = 4
"""A pipeline that misses the bound at a sixteenth of the first rate does not owe it to the rate."""
BRACKET = 1.3
"""How far apart the rates are between which the limit lies when the search begins to probe around it."""
LEAST_OFFSET, MOST_OFFSET = 0.02, 0.08
"""How far from where the limit seems to be the probes are: as far as makes e times as many requests late."""
REACH = 3.0
"""The limit is fitted to the probes within so many offsets."""
MOST_MOVE, BLIND_MOVE = 0.1, 0.04
"""How far the estimate moves after a probe, as a share: with a fit, and without."""


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a rate gave."""

    asked_per_s: float
    rate_per_s: float
    """What was offered, as measured; the asked rate where the probe did not play to its end."""
    verdict: str
    """passes, fails or undecided, by this probe alone."""
    outcome: str
    """The verdict, and in a few words why."""
    num_requests: int
    """That count."""
    num_over: int
    """Of them over the bound; of a probe that ended early as many as it had by then."""
    percentile_ms: float | None = None
    """The latency at the percentile that is bounded; None where too few requests finished."""
    goodput_per_s: float | None = None
    """Requests within the bound per second."""
    seconds: float = 0.0
    """Of load."""
    folder: Path | None = None
    is_client_late: bool = False
    """Whether the load was not the asked one, so that the rate says nothing of the pipeline."""

    @property
    def counted(self) -> Counted:
        return Counted(rate_per_s=self.rate_per_s, num_requests=self.num_requests, num_over=self.num_over)


Probe = Callable[[float, bool], ProbeResult]
"""Tries a rate; the second argument asks for a short probe, which is to find the way."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Where the limit lies."""

    low_per_s: float | None
    """The range; None where no rate is known to keep the bound, or none to miss it."""
    high_per_s: float | None
    best_per_s: float | None
    """Where it seems to be; None where only the range is known."""

    @property
    def margin(self) -> float | None:
        """Half of the range, as a share of the rate."""
        if not self.low_per_s or not self.high_per_s:
            return None
        return math.log(self.high_per_s / self.low_per_s) / 2

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "margin": self.margin}


class PeakSearch:
    """A search, of which what is known so far can be had at any time."""

    def __init__(self, probe: Probe, *, share: float) -> None:
        """`share`: of the requests that may be over the bound."""
        self.probes: list[ProbeResult] = []
        self._probe, self._share = probe, share
        self._estimate_per_s: float | None = None
        self._offset, self._num_bracketing = MOST_OFFSET, 0
        self._limit: RateLimit | None = None

    def run(self, start_per_s: float) -> None:
        """Probe until the peak is known well enough."""
        low, high = self._bracket(start_per_s)
        if low is None or high is None:
            return
        self._estimate_per_s, self._num_bracketing = math.sqrt(low * high), len(self.probes)
        while len(self.probes) < MAX_PROBES and not self._is_known() and not self._is_spent():
            sign = 1 if len(self.probes) % 2 else -1
            self._try(self._estimate_per_s * math.exp(sign * self._offset))
            self._update()

    def peak(self) -> Peak:
        """What the probes so far tell."""
        if self._limit is not None:
            limit = self._limit
            return Peak(low_per_s=limit.low_per_s, high_per_s=limit.high_per_s, best_per_s=limit.best_per_s)
        return Peak(
            low_per_s=max(self._rates(PASSES), default=None),
            high_per_s=self._lowest_failing(),
            best_per_s=None,
        )

    def _rates(self, verdict: str) -> list[float]:
        return [probe.rate_per_s for probe in self.probes if probe.verdict == verdict]

    def _lowest_failing(self) -> float | None:
        """Above what passes: a lower one that failed once was disturbed."""
        floor = max(self._rates(PASSES), default=0.0)
        return min((rate for rate in self._rates(FAILS) if rate > floor), default=None)

    def _try(self, rate_per_s: float, *, is_short: bool = False) -> bool:
        """Whether not too many were over the bound."""
        result = self._probe(rate_per_s, is_short)
        self.probes.append(result)
        return result.num_over <= self._share * result.num_requests

    def _bracket(self, rate_per_s: float) -> tuple[float | None, float | None]:
        """A rate that seems to keep the bound and one that does not, BRACKET apart or less; None: no such."""
        low = high = None
        num_halvings = num_doublings = 0
        while low is None or high is None or high > BRACKET * low:
            if self._try(rate_per_s, is_short=True):
                low = rate_per_s
            else:
                high = rate_per_s
            if low is None:
                num_halvings += 1
                rate_per_s /= 2
            elif high is None:
                num_doublings += 1
                rate_per_s *= 2
            else:
                rate_per_s = math.sqrt(low * high)
            if num_halvings > MAX_HALVINGS or num_doublings > MAX_DOUBLINGS:
                break
        return low, high

    def _update(self) -> None:
        """Fit again, and move to where the limit seems to be."""
        assert self._estimate_per_s is not None
        for _ in range(3):
            reach = REACH * self._offset
            counted = [probe.counted for probe in self.probes]
            found = find_limit(counted, self._share, around_per_s=self._estimate_per_s, reach=reach)
            self._limit = found
            if found is None:
                break
            move = math.log(found.best_per_s / self._estimate_per_s)
            self._estimate_per_s *= math.exp(min(max(move, -MOST_MOVE), MOST_MOVE))
            self._offset = min(max(1 / found.slope, LEAST_OFFSET), MOST_OFFSET)
        if self._limit is None:
            self._estimate_per_s *= math.exp(-BLIND_MOVE if self._are_too_many_over() else BLIND_MOVE)

    def _are_too_many_over(self) -> bool:
        """In the last two probes, one of which was above and one below."""
        last = self.probes[-2:]
        return sum(one.num_over for one in last) > self._share * sum(one.num_requests for one in last)

    def _is_known(self) -> bool:
        return self._limit is not None and len(self.probes) >= MIN_PROBES and self._limit.margin <= RESOLUTION

    def _is_spent(self) -> bool:
        """Whether another probe would be too much load."""
        assert self._estimate_per_s is not None
        near = self.probes[self._num_bracketing :]
        num_sent = sum(probe.seconds for probe in near) * self._estimate_per_s
        return num_sent > MOST_LOAD * max((probe.num_requests for probe in near), default=1)
