"""95 % intervals that hold when the values depend on each other, as the latencies of a queue do.

Method of batch means: the series, in order of arrival, is cut into 10 batches of equal length, so long that
their means hardly depend on each other, and Student's t with 9 degrees of freedom tells how far they scatter.
For a percentile, the share of values up to it takes the place of the mean, and the interval of the share is
read off the sorted values.

How much a series tells depends on how far the pipeline is from saturation (rnb/analysis/slack.py), and not on
the series itself: one that saw no congestion knows of none. An interval is 1 + 3 / evidence times as wide as
the batches say (of a percentile 1 + 1.5 / evidence), for what they have in common; with too little evidence
there is none. Near saturation the mean latency is as 1 / slack, so the interval of 1 / mean is symmetrical.

There are two ways to an interval, since they answer different questions. These ones describe a run: how often
they hold the true value is measured (benchmarks/interval_coverage.py). Those of rnb/analysis/estimate.py
decide: they are differences of two figures, which takes standard errors with their degrees of freedom.

Sources: Schmeiser, *Batch size effects in the analysis of simulation output*, Operations Research 30(3), 1982
(10 to 30 batches, however long the series is); Woodruff, *Confidence intervals for medians and other position
measures*, JASA 47(260), 1952 (from shares to values); Doss, Flegal, Jones, Neath, *Markov chain Monte Carlo
estimation of quantiles*, Electronic Journal of Statistics 8, 2014 (batch means of the share, for dependent
values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.student_t import student_t

NUM_BATCHES = 10
MIN_COUNT = 10 * NUM_BATCHES
"""Fewest values for an interval."""
MIN_EVIDENCE = 12.5
"""Least of Slack.evidence for an interval."""
MIN_BEYOND = 16.0
"""Fewest effective requests beyond a percentile for its interval."""
SHARED_BY_BATCHES, SHARED_OF_SHARES = 3.0, 1.5
"""By so much / evidence an interval is wider, for what batches have in common: of a mean, of a percentile."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    high: float | None
    """None: the values do not say how large it may be."""


def evidence_needed(percent: float | None = None) -> float:
    """The least evidence for the interval of a percentile; None: of the mean."""
    if percent is None:
        return MIN_EVIDENCE
    return max(MIN_EVIDENCE, math.sqrt(MIN_BEYOND / (1 - percent / 100)))


def mean_interval(values: Values, evidence: float = math.inf) -> Interval | None:
    """Of the mean of positive values in order of arrival; None where they are fewer than MIN_COUNT."""
    if len(values) < MIN_COUNT:
        return None
    mean, half = float(values.mean()), (1 + SHARED_BY_BATCHES / evidence) * half_width(values)
    if not half:
        return Interval(low=mean, high=mean)
    return Interval(low=mean**2 / (mean + half), high=mean**2 / (mean - half) if half < mean else None)


def half_width(values: Values) -> float:
    """Of the interval of the mean of at least NUM_BATCHES values, if it is symmetrical."""
    return student_t(NUM_BATCHES - 1) * math.sqrt(_variance_of_mean(values))


def percentile_interval(
    values: Values, in_order: Values, percent: float, percentile: float, evidence: float = math.inf
) -> Interval | None:
    """Of a percentile of a series in order of arrival; None where it is shorter than MIN_COUNT.

    `in_order`: the same values, sorted; `percentile`: the value at `percent`.
    """
    count, share = len(values), percent / 100
    if count < MIN_COUNT:
        return None
    independent = share * (1 - share) / count
    variance = max(independent, _variance_of_mean(values <= percentile))
    half = (1 + SHARED_OF_SHARES / evidence) * student_t(NUM_BATCHES - 1) * math.sqrt(variance)
    low_rank = max(1, math.floor((share - half) * count))
    high_rank = math.ceil((share + half) * count) + 1
    return Interval(
        low=float(in_order[low_rank - 1]),
        high=float(in_order[high_rank - 1]) if high_rank <= count else None,
    )


def _variance_of_mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    """From the scatter of the means of NUM_BATCHES batches; what does not divide is left off the front."""
    length = len(values) // NUM_BATCHES
    batches = values[len(values) - NUM_BATCHES * length :].reshape(NUM_BATCHES, length)
    return float(batches.mean(axis=1).var(ddof=1)) / NUM_BATCHES
