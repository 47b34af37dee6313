"""What repeated runs of two sides say of their difference, on a machine whose speed changes meanwhile.

Where runs are played in turn, A B A B …, noise that lasts over runs hits both sides alike. The difference is
that of a least-squares fit of value = level + difference · side + slope · number in order of time: the slope
takes out what changes steadily, and noise that lasts makes the residuals larger, never the difference. Where
one side was played before the other, a change of the machine looks like a difference; then the error is
multiplied by WIDENING. benchmarks/false_verdicts.py measures how often equal runs are told apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnb.analysis.estimate import Estimate

WIDENING = 1.5
"""Of the error where the sides were not played in turn."""
MAX_TOLD_BY_TIME = 0.25
"""The most of the side's variance that the order of time may explain in runs that are played in turn."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A figure of a run, and when the run began."""

    began_ns: int
    value: float


def difference(reference: Sequence[Timed], other: Sequence[Timed]) -> Estimate:
    """Of the other side's level to the reference's; no error where a side has a single run."""
    runs = [*reference, *other]
    values = np.array([run.value for run in runs])
    mean = float(values[len(reference) :].mean() - values[: len(reference)].mean())
    if min(len(reference), len(other)) < 2:
        return Estimate(value=mean, error=None)
    sides, order = _sides(reference, other), _order(runs)
    columns = np.stack([np.ones(len(runs)), sides, order], axis=1)
    inverse = np.linalg.inv(columns.T @ columns)
    fitted = inverse @ columns.T @ values
    residuals = values - columns @ fitted
    degrees = len(runs) - 3
    error = math.sqrt(float(residuals @ residuals) / degrees * float(inverse[1, 1]))
    widening = 1.0 if are_in_turn(reference, other) else WIDENING
    return Estimate(value=float(fitted[1]), error=widening * error, degrees=degrees)


def are_in_turn(reference: Sequence[Timed], other: Sequence[Timed]) -> bool:
    """Whether runs of both sides were played in turn, so that neither is the earlier one."""
    if min(len(reference), len(other)) < 2:
        return False
    correlation = np.corrcoef(_sides(reference, other), _order([*reference, *other]))[0, 1]
    return float(correlation**2) <= MAX_TOLD_BY_TIME


def _sides(reference: Sequence[Timed], other: Sequence[Timed]) -> Numbers:
    sides: Numbers = np.repeat([0.0, 1.0], [len(reference), len(other)])
    return sides


def _order(runs: Sequence[Timed]) -> Numbers:
    """The number of each run in order of time, around 0."""
    numbers = np.argsort(np.argsort([run.began_ns for run in runs], kind="stable"), kind="stable")
    return np.asarray(numbers - (len(runs) - 1) / 2, dtype=np.float64)
