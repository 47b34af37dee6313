"""A figure with its standard error, to compare by: from one run's series of requests or from repeated runs.

rnb/analysis/intervals.py says why there are two ways to an interval.

Requests in a queue wait for each other, so their latencies are no independent samples. A series is therefore
cut into batches in order of time, and the spread of the batches says how well the whole is known.

Sources: Law and Carson, *A sequential procedure for determining the length of a steady-state simulation*,
Operations Research 27(5), 1979 (batches are made longer until neighbours no longer resemble each other);
Asmussen and Glynn, *Stochastic Simulation*, 2007, III.5 (sectioning, for the median).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.student_t import student_t

NUM_BATCHES = (20, 10, 5)
"""Tried in this order, until the batches are long enough to be independent of each other."""
MAX_AUTOCORRELATION = {20: 0.0, 10: 0.0, 5: 0.2}
"""Of neighbouring batches, by their number; that of independent ones is -1/number on average."""
MIN_BATCH = 20
MIN_SERIES = MIN_BATCH * NUM_BATCHES[-1]
"""Fewest requests for a standard error."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value, and how well it is known."""

    value: float
    error: float | None
    """Its standard error; None where the data cannot tell."""
    degrees: float = 1.0
    """Degrees of freedom of the standard error."""

    @property
    def margin(self) -> float | None:
        """Half of the confidence interval's width; the interval is value ± margin."""
        return None if self.error is None else student_t(self.degrees) * self.error

    @property
    def excludes_zero(self) -> bool:
        return self.margin is not None and abs(self.value) > self.margin

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference of two independent figures, with Welch's degrees of freedom."""
        value = self.value - other.value
        if self.error is None or other.error is None:
            return Estimate(value=value, error=None)
        variances = self.error**2, other.error**2
        total = sum(variances)
        parts = variances[0] ** 2 / self.degrees + variances[1] ** 2 / other.degrees
        return Estimate(value=value, error=math.sqrt(total), degrees=total**2 / parts if parts else 1.0)

    def scaled(self, factor: float) -> Estimate:
        error = None if self.error is None else self.error * abs(factor)
        return Estimate(value=self.value * factor, error=error, degrees=self.degrees)


def of_runs(values: Sequence[float]) -> Estimate:
    """The mean over runs, which are independent of each other; one run has no standard error."""
    value, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(value=value, error=None)
    return Estimate(value=value, error=float(np.std(values, ddof=1)) / math.sqrt(count), degrees=count - 1)


def mean_of(series: NDArray[np.float64]) -> Estimate:
    """The mean of a series in order of time."""
    value = float(series.mean())
    return from_batches(value, len(series), lambda edges: batch_sums(series, edges) / np.diff(edges) - value)


def median_of(series: NDArray[np.float64]) -> Estimate:
    """The median of a series in order of time."""
    value = float(np.median(series))

    def deviations(edges: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.array([np.median(batch) for batch in np.split(series, edges[1:-1])]) - value

    return from_batches(value, len(series), deviations)


def batch_sums(series: NDArray[np.float64], edges: NDArray[np.intp]) -> NDArray[np.float64]:
    """The sum of each batch; `edges` as from_batches gives them."""
    sums: NDArray[np.float64] = np.add.reduceat(series, edges[:-1])
    return sums


def from_batches(
    value: float, count: int, deviations: Callable[[NDArray[np.intp]], NDArray[np.float64]]
) -> Estimate:
    """The estimate whose error is that of the batches' deviations from it.

    `deviations` gets the edges of the batches, (number + 1,), and returns a deviation for each. Batches that
    neighbours still resemble are made longer; where five are not enough, the series drifts, and only when all
    of them deviate from zero to the same side is there an error at all: an overload that grows is no noise.
    """
    if count < MIN_SERIES:
        return Estimate(value=value, error=None)
    for number in NUM_BATCHES:
        if count < number * MIN_BATCH:
            continue
        found = deviations(np.linspace(0, count, number + 1).astype(np.intp))
        if _autocorrelation(found) <= MAX_AUTOCORRELATION[number]:
            return _from_deviations(value, found)
    batches = found + value
    if (batches > 0).all() or (batches < 0).all():
        return _from_deviations(value, found)
    return Estimate(value=value, error=None)


def _from_deviations(value: float, deviations: NDArray[np.float64]) -> Estimate:
    number = len(deviations)
    error = math.sqrt(float(np.sum(deviations**2)) / (number * (number - 1)))
    return Estimate(value=value, error=error, degrees=number - 1)


def _autocorrelation(values: NDArray[np.float64]) -> float:
    """Of each value and the next; 0 where they are all the same."""
    centred = values - values.mean()
    total = float(np.sum(centred**2))
    return float(np.sum(centred[1:] * centred[:-1])) / total if total else 0.0
