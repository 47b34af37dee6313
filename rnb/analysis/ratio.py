"""How many times as large one figure is as another, with an interval that is symmetrical in the logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.estimate import Estimate, batch_sums, from_batches
from rnb.analysis.student_t import student_t

CONFIDENCE = 0.97
"""Of the intervals: with 95 %, equal runs are told apart in 5 %, and in more where noise is skewed."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A figure over the reference's, 1 being no change; neither it nor its interval is ever below 0."""

    log: Estimate

    @property
    def value(self) -> float:
        return math.exp(self.log.value)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of CONFIDENCE; None where the data cannot tell."""
        if self.log.error is None:
            return None
        margin = student_t(self.log.degrees, confidence=CONFIDENCE) * self.log.error
        return _exp(self.log.value - margin), _exp(self.log.value + margin)

    @property
    def excludes_one(self) -> bool:
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]

    def __str__(self) -> str:
        interval = self.interval
        told = "" if interval is None else f" ({_number(interval[0])} to {_number(interval[1])})"
        return f"×{_number(self.value)}{told}"


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:.3g}"


def ratio(reference: Estimate, other: Estimate) -> Ratio:
    """Of two independent positive figures, by the delta method."""
    relative = other.scaled(1 / other.value) - reference.scaled(1 / reference.value)
    value = math.log(other.value / reference.value)
    return Ratio(log=Estimate(value=value, error=relative.error, degrees=relative.degrees))


def ratio_of(series: NDArray[np.float64], reference: NDArray[np.float64]) -> Ratio:
    """The sum of a series over that of the reference; entry by entry for the same piece of work."""
    mean = float(series.mean())
    value = mean / float(reference.mean())

    def deviations(edges: NDArray[np.intp]) -> NDArray[np.float64]:
        return batch_sums(series - value * reference, edges) / np.diff(edges) / mean

    return Ratio(log=from_batches(math.log(value), len(series), deviations))
