"""How many requests prove a bound on a percentile: MLPerf LoadGen's early-stopping test.

If exactly p % of requests met the bound, the number over it would be binomial. When so few are over it that
the chance of as few or fewer is at most 1 %, more than p % meet the bound, with 99 % confidence. The test
takes the requests as independent of each other, and those of a queue are not: so it is done with as many as
say the same without depending on each other (rnb/analysis/slack.py), and the same share of them over it.

Source: mlcommons/inference, loadgen/early_stopping.cc and results.cc, and the appendix on early stopping of
MLPerf's inference rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CONFIDENCE = 0.99


@dataclass(frozen=True, kw_only=True)
class TailBound:
    """The outcome of the test: is the percentile under the bound?"""

    percentile: float
    bound_ms: float
    num_requests: int
    num_over: int
    """Requests over the bound, or without a result."""
    num_needed: int | None
    """The fewest requests that pass the test with as many over the bound; None: not known."""

    @property
    def is_met(self) -> bool:
        return self.num_needed is not None and self.num_requests >= self.num_needed

    @property
    def num_missing(self) -> int | None:
        """How many more requests the test needs, if each of them meets the bound; None: not known."""
        return None if self.num_needed is None else max(0, self.num_needed - self.num_requests)

    @property
    def is_exceeded(self) -> bool:
        """Whether the run's own percentile is over the bound, so that more of the same proves nothing."""
        share_over = self.num_over / max(1, self.num_requests)
        return share_over > (1 - self.percentile / 100) * (1 + 1e-9)


def judge_bound(
    *, num_requests: int, num_effective: float, num_over: int, percentile: float, bound_ms: float
) -> TailBound:
    """The test for `num_over` of `num_requests` over the bound; `percentile` from 0 to 100, both excluded.

    `num_effective`: as many independent requests would say as much; 0: not known.
    """
    return TailBound(
        percentile=percentile,
        bound_ms=bound_ms,
        num_requests=num_requests,
        num_over=num_over,
        num_needed=_num_needed(num_requests / num_effective, num_over, percentile) if num_effective else None,
    )


def _num_needed(requests_each: float, num_over: int, percentile: float) -> int:
    """`requests_each`: for each independent one."""
    independent = min_requests(math.ceil(num_over / requests_each), percentile)
    return math.ceil(round(independent * requests_each, 6))


def min_requests(num_over: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """The fewest requests that prove the percentile's bound when `num_over` of them are over it."""
    from scipy.special import bdtr  # slow to import, and not needed before a run

    share_over = 1 - percentile / 100
    # With so many requests the expected number over the bound is num_over, and the chance about a half.
    too_few = max(num_over, math.floor(num_over / share_over))
    step = 1
    while bdtr(num_over, too_few + step, share_over) > 1 - confidence:
        step *= 2
    enough = too_few + step
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if bdtr(num_over, middle, share_over) > 1 - confidence:
            too_few = middle
        else:
            enough = middle
    return enough
