"""95 % intervals that hold when the values depend on each other, as the latencies of a queue do.

Method of batch means: the series, in order of arrival, is cut into 10 batches of equal length, so long that
their means hardly depend on each other, and Student's t with 9 degrees of freedom tells how far they scatter.
For a percentile, the share of values up to it takes the place of the mean, and the interval of the share is
read off the sorted values.

There are two ways to an interval, since they answer different questions. These ones describe a run: they
stand beside every figure of its table, so they are there for any series of MIN_COUNT values and always
computed alike; how often they hold the true value is measured (benchmarks/interval_coverage.py). Those of
rnb/analysis/estimate.py decide: 'faster' rests on them, so batches that still depend on each other are made
longer, and a series that drifts gets no interval at all, which is an answer there and would be a hole here.
And they are differences of two figures, which takes standard errors with their degrees of freedom.

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
STUDENT_T = student_t(NUM_BATCHES - 1)

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    low: float
    high: float | None
    """None: the values do not say how large it may be."""


def mean_interval(values: Values) -> Interval | None:
    """Of the mean of a series in order of arrival; None where it is shorter than MIN_COUNT."""
    if len(values) < MIN_COUNT:
        return None
    mean, half = float(values.mean()), STUDENT_T * math.sqrt(_variance_of_mean(values))
    return Interval(low=mean - half, high=mean + half)


def percentile_interval(
    values: Values, in_order: Values, percent: float, percentile: float
) -> Interval | None:
    """Of a percentile of a series in order of arrival; None where it is shorter than MIN_COUNT.

    `in_order`: the same values, sorted; `percentile`: the value at `percent`.
    """
    count, share = len(values), percent / 100
    if count < MIN_COUNT:
        return None
    independent = share * (1 - share) / count
    half = STUDENT_T * math.sqrt(max(independent, _variance_of_mean(values <= percentile)))
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
